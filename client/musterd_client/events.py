"""What happens in a run: one frozen class for each kind of event, and their union `Event` for `match`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from musterd_client.approval_model import Approval, ApprovalState
from musterd_client.hook_events import HookCompleted, HookFailed, HookStarted
from musterd_client.logged_event import LoggedEvent
from musterd_client.model import ComponentRef, JsonValue, Output, TaskError, TaskState, Usage
from musterd_client.team_model import TeamMessage, Todo, TodoChange
from musterd_client.workflow_events import (
    BranchChosen,
    LoopTurned,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
)


class RestartCause(StrEnum):
    """Why a model request was cut off: its server stopped, or it failed and is sent again."""

    UNKNOWN = "UNKNOWN"
    RECOVERY = "RECOVERY"
    RETRY = "RETRY"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(LoggedEvent):
    """The task started for the first time."""

    kind = "task_started"

    session_id: str = ""
    parent_task_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted(LoggedEvent):
    """The task ended with its result. Terminal for the task."""

    kind = "task_completed"

    output: Output
    usage: Usage
    unapplied_steer_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(LoggedEvent):
    """The task ended with an error; `state` is FAILED, or REJECTED when the run never began. Terminal for the task."""

    kind = "task_failed"

    error: TaskError
    usage: Usage
    output: Output | None = None
    state: TaskState = TaskState.FAILED
    unapplied_steer_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCanceled(LoggedEvent):
    """The task was canceled. Terminal for the task."""

    kind = "task_canceled"

    reason: str = ""
    usage: Usage
    output: Output | None = None
    unapplied_steer_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(LoggedEvent):
    """Somebody asked to cancel the task. `grace_seconds` is how long the current step may still take."""

    kind = "cancel_requested"

    reason: str = ""
    hard: bool = False
    grace_seconds: float = 0.0
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequired(LoggedEvent):
    """The task waits until its owner renews its identity with `tasks.answer`."""

    kind = "auth_required"

    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRenewed(LoggedEvent):
    """The owner renewed the identity that the task runs under."""

    kind = "auth_renewed"

    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequestStarted(LoggedEvent):
    """A request to the model begins. `step` counts the task's model requests from 1."""

    kind = "model_request_started"

    step: int
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequestCompleted(LoggedEvent):
    """The model's response is complete and stored; its deltas stay valid from here on."""

    kind = "model_request_completed"

    step: int
    model: str = ""
    usage: Usage
    finish_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(LoggedEvent):
    """The model produced text, to be appended to the part `part_index` of the response number `step`."""

    kind = "text_delta"

    step: int
    part_index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta(LoggedEvent):
    """The model produced thinking, to be appended to the part `part_index` of the response number `step`."""

    kind = "thinking_delta"

    step: int
    part_index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallArgumentsDelta(LoggedEvent):
    """The model produced a piece of a tool call's arguments. Id and name may be empty until the model has sent them."""

    kind = "tool_call_arguments_delta"

    step: int
    part_index: int
    tool_call_id: str = ""
    tool_name: str = ""
    arguments_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(LoggedEvent):
    """A failed request to the model will be sent again. `attempt` counts this request's tries from 1."""

    kind = "retry_scheduled"

    step: int
    attempt: int
    delay_seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRestarted(LoggedEvent):
    """A model request that was cut off begins again; its earlier deltas are void."""

    kind = "step_restarted"

    step: int
    cause: RestartCause = RestartCause.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStarted(LoggedEvent):
    """A tool begins to run."""

    kind = "tool_call_started"

    step: int
    tool_call_id: str
    tool_name: str
    arguments_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallCompleted(LoggedEvent):
    """A tool returned. A result too large for an event is left out, and `omitted_bytes` tells its size."""

    kind = "tool_call_completed"

    step: int
    tool_call_id: str
    tool_name: str
    result_json: str = ""
    omitted_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallFailed(LoggedEvent):
    """A tool failed, or its call was not valid."""

    kind = "tool_call_failed"

    step: int
    tool_call_id: str
    tool_name: str
    message: str = ""
    will_retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered(LoggedEvent):
    """A message from outside went into the model request number `step`."""

    kind = "steered"

    steer_id: str
    step: int
    message: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked(LoggedEvent):
    """The task asks something, and waits for `tasks.answer` until `expire_time`."""

    kind = "question_asked"

    question_id: str
    text: str
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswered(LoggedEvent):
    """A question was answered. `user_id` is empty when the task that started this one answered."""

    kind = "question_answered"

    question_id: str
    answer: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionExpired(LoggedEvent):
    """Nobody answered a question in time; the task goes on without."""

    kind = "question_expired"

    question_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtaskStarted(LoggedEvent):
    """The task handed work to a child, which may have to wait for its turn. `subtask` is what the child executes."""

    kind = "subtask_started"

    subtask_id: str
    subtask: ComponentRef
    description: str = ""
    in_background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtaskEnded(LoggedEvent):
    """A child of the task ended. `subtask` is what the child executed."""

    kind = "subtask_ended"

    subtask_id: str
    subtask: ComponentRef
    state: TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TodoChanged(LoggedEvent):
    """An item of the team's todo list changed. `todo` is the item as it is now, or as it was when it was removed.

    `actor` is who did it: a member's name, `leader`, `user:` and an id, or empty for the server.
    """

    kind = "todo_changed"

    change: TodoChange
    todo: Todo
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMessageSent(LoggedEvent):
    """A message was sent within the team."""

    kind = "team_message_sent"

    message: TeamMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(LoggedEvent):
    """The task wants to do something that needs an approval, or that somebody else must do; `tasks.resolve` decides."""

    kind = "approval_requested"

    approval: Approval


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalResolved(LoggedEvent):
    """An approval was decided by the user `user_id`, or nobody decided in time; `state` says what became of it.

    `arguments_json` stands in place of the model's arguments, and `result_json` is the result that was given; both are
    empty when there is none.
    """

    kind = "approval_resolved"

    approval_id: str
    state: ApprovalState
    reason: str = ""
    arguments_json: str = ""
    result_json: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom(LoggedEvent):
    """An event of the application's own making, emitted by a tool."""

    kind = "custom"

    type: str
    payload: dict[str, JsonValue]


TerminalEvent = TaskCompleted | TaskFailed | TaskCanceled

Event = (
    TaskStarted
    | TaskCompleted
    | TaskFailed
    | TaskCanceled
    | CancelRequested
    | AuthRequired
    | AuthRenewed
    | ModelRequestStarted
    | ModelRequestCompleted
    | TextDelta
    | ThinkingDelta
    | ToolCallArgumentsDelta
    | RetryScheduled
    | StepRestarted
    | ToolCallStarted
    | ToolCallCompleted
    | ToolCallFailed
    | Steered
    | QuestionAsked
    | QuestionAnswered
    | QuestionExpired
    | SubtaskStarted
    | SubtaskEnded
    | TodoChanged
    | TeamMessageSent
    | ApprovalRequested
    | ApprovalResolved
    | HookStarted
    | HookCompleted
    | HookFailed
    | StepStarted
    | StepCompleted
    | StepFailed
    | StepSkipped
    | BranchChosen
    | LoopTurned
    | Custom
)
"""Anything that can happen in a run, as far as this version of the client knows."""
