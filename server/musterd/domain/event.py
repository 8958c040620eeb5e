"""What can happen in a task, as one union of frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from musterd.domain.board import TeamMessage, Todo
from musterd.domain.principal import JsonValue
from musterd.domain.task import ApprovalKind, ApprovalState, ComponentRef, Output, TaskError, TaskState, Usage
from musterd.domain.workflow_event import (
    BranchChosen,
    LoopTurned,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    """The task started for the first time."""

    session_id: str = ""
    parent_task_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted:
    """The task ended with its result."""

    output: Output
    usage: Usage
    unapplied_steer_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """The task ended with an error; `state` is FAILED or REJECTED."""

    error: TaskError
    usage: Usage
    output: Output | None = None
    state: TaskState = TaskState.FAILED
    unapplied_steer_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCanceled:
    """The task was canceled."""

    reason: str = ""
    usage: Usage
    output: Output | None = None
    unapplied_steer_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Somebody asked to cancel the task."""

    reason: str = ""
    hard: bool = False
    grace_seconds: float = 0.0
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequired:
    """The task waits until its owner renews the identity that it runs under."""

    expired_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRenewed:
    """The owner renewed the identity that the task runs under."""

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequestStarted:
    """A request to the model begins. `step` counts the task's model requests from 1."""

    step: int
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequestCompleted:
    """The model's response is complete and stored."""

    step: int
    model: str = ""
    usage: Usage
    finish_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """The model produced text."""

    step: int
    part_index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta:
    """The model produced thinking."""

    step: int
    part_index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallArgumentsDelta:
    """The model produced a piece of a tool call's arguments."""

    step: int
    part_index: int
    tool_call_id: str = ""
    tool_name: str = ""
    arguments_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled:
    """A failed request to the model will be sent again. `attempt` counts this request's tries from 1."""

    step: int
    attempt: int
    delay_seconds: float
    message: str


class RestartCause(StrEnum):
    """Why a model request was cut off."""

    RECOVERY = "recovery"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRestarted:
    """A model request that was cut off begins again; its earlier deltas are void."""

    step: int
    cause: RestartCause


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStarted:
    """A tool begins to run."""

    step: int
    tool_call_id: str
    tool_name: str
    arguments_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallCompleted:
    """A tool returned. A result too large for an event is left out, and `omitted_bytes` tells its size."""

    step: int
    tool_call_id: str
    tool_name: str
    result_json: str
    omitted_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallFailed:
    """A tool failed, or its call was not valid."""

    step: int
    tool_call_id: str
    tool_name: str
    message: str
    will_retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """A message from outside went into a request to the model."""

    steer_id: str
    step: int
    message: str
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtaskStarted:
    """The task handed work to a child, which may have to wait for its turn."""

    subtask_id: str
    component: ComponentRef
    description: str
    in_background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtaskEnded:
    """A child of the task ended."""

    subtask_id: str
    component: ComponentRef
    state: TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked:
    """The task asks something, and waits for the answer until `expire_time`."""

    question_id: str
    text: str
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswered:
    """A question of the task was answered, by a user or, when `user_id` is empty, by the task that started this one."""

    question_id: str
    answer: str
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionExpired:
    """Nobody answered a question in time; the task goes on without."""

    question_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested:
    """The task wants to do something that needs an approval, or that somebody else must do."""

    approval_id: str
    kind: ApprovalKind
    step: int = 0
    tool_call_id: str = ""
    tool_name: str = ""
    arguments_json: str = ""
    text: str = ""
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalResolved:
    """An approval was decided, or nobody decided in time; `state` says which. `user_id` is who did."""

    approval_id: str
    state: ApprovalState
    reason: str = ""
    arguments_json: str = ""
    result_json: str = ""
    user_id: str = ""


class TodoChange(StrEnum):
    """What happened to an item of a team's todo list."""

    ADDED = "added"
    CLAIMED = "claimed"
    COMPLETED = "completed"
    RELEASED = "released"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TodoChanged:
    """An item of the team's todo list changed; `todo` is the item after it, or as it was when it was removed.

    `actor` is who did it: a member's name, `leader`, `user:ID`, or empty for the server itself.
    """

    change: TodoChange
    todo: Todo
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMessageSent:
    """A message was sent within the team."""

    message: TeamMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStarted:
    """A hook begins. `phase` is pre or post; `attempt` counts from 1 for one that runs in the background."""

    hook_run_id: str = ""
    phase: str
    name: str
    in_background: bool = False
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCompleted:
    """A hook returned."""

    hook_run_id: str = ""
    phase: str
    name: str
    in_background: bool = False
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFailed:
    """A hook raised. `trigger` and `details` are those of a check that stopped the run."""

    hook_run_id: str = ""
    phase: str
    name: str
    in_background: bool = False
    attempt: int = 1
    message: str
    will_retry: bool = False
    trigger: str = ""
    details: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """An event of the application's own making."""

    type: str
    payload: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


TerminalEvent = TaskCompleted | TaskFailed | TaskCanceled
DeltaEvent = TextDelta | ThinkingDelta | ToolCallArgumentsDelta
Payload = (
    TaskStarted
    | TerminalEvent
    | CancelRequested
    | AuthRequired
    | AuthRenewed
    | ModelRequestStarted
    | ModelRequestCompleted
    | DeltaEvent
    | RetryScheduled
    | StepRestarted
    | ToolCallStarted
    | ToolCallCompleted
    | ToolCallFailed
    | Steered
    | SubtaskStarted
    | SubtaskEnded
    | QuestionAsked
    | QuestionAnswered
    | QuestionExpired
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


@dataclass(frozen=True, slots=True)
class Event:
    """One stored event: `sequence` is its place in the log of its tree, dense from 1. Positional, for speed."""

    root_task_id: str
    task_id: str
    sequence: int
    create_time: datetime
    component: ComponentRef
    payload: Payload
