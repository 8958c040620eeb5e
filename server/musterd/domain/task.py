"""A task: one execution of a component, with one state machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from musterd.domain.errors import Reason
from musterd.domain.principal import Identity


class TaskState(StrEnum):
    """Where a task is in its life."""

    SUBMITTED = "submitted"
    WORKING = "working"
    RETRYING = "retrying"
    INPUT_REQUIRED = "input_required"
    AUTH_REQUIRED = "auth_required"
    CANCELING = "canceling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended: a terminal row never changes again."""
        return self in TERMINAL_STATES

    @property
    def needs_input(self) -> bool:
        """Whether the task waits for somebody outside."""
        return self in (TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED)


TERMINAL_STATES = frozenset((TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED))

_ENDING = TERMINAL_STATES | {TaskState.CANCELING}

_LIVE_ENDINGS = frozenset((TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED))

TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.SUBMITTED: frozenset(
        (TaskState.WORKING, TaskState.AUTH_REQUIRED, TaskState.REJECTED, TaskState.CANCELED, TaskState.FAILED)
    ),
    TaskState.WORKING: _LIVE_ENDINGS
    | {
        # A queued task is WORKING from its claim on, and its factory may still refuse it.
        TaskState.REJECTED,
        TaskState.RETRYING,
        TaskState.INPUT_REQUIRED,
        TaskState.AUTH_REQUIRED,
        TaskState.CANCELING,
    },
    TaskState.RETRYING: _LIVE_ENDINGS | {TaskState.WORKING, TaskState.AUTH_REQUIRED, TaskState.CANCELING},
    TaskState.INPUT_REQUIRED: _LIVE_ENDINGS | {TaskState.WORKING, TaskState.AUTH_REQUIRED, TaskState.CANCELING},
    TaskState.AUTH_REQUIRED: frozenset((TaskState.SUBMITTED, TaskState.CANCELED, TaskState.FAILED)),
    TaskState.CANCELING: _LIVE_ENDINGS,
    TaskState.COMPLETED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELED: frozenset(),
    TaskState.REJECTED: frozenset(),
}
"""The guarded table: every change of state there is. Staying in a state is not a change."""


def can_change(old: TaskState, new: TaskState) -> bool:
    """Whether a task may go from `old` to `new`. To stay in a state that has not ended is allowed."""
    return new in TRANSITIONS[old] or (old is new and not old.is_terminal)


class ComponentKind(StrEnum):
    """What kind of thing a component is. Subagents, members and steps are parts of one that is registered."""

    AGENT = "agent"
    TEAM = "team"
    WORKFLOW = "workflow"
    SUBAGENT = "subagent"
    MEMBER = "member"
    STEP = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRef:
    """Names one component. The id of a subagent or a member is its name, unique within its parent alone."""

    kind: ComponentKind
    id: str


class Priority(IntEnum):
    """How urgent a task is among those that wait."""

    LOW = 1
    NORMAL = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run has spent."""

    requests: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    details: Mapping[str, int] = field(default_factory=dict[str, int])

    def at_least(self, other: "Usage") -> "Usage":
        """Return this, with the other's figures where those are larger."""
        details = {name: max(value, self.details.get(name, 0)) for name, value in other.details.items()}
        return Usage(
            requests=max(self.requests, other.requests),
            tool_calls=max(self.tool_calls, other.tool_calls),
            input_tokens=max(self.input_tokens, other.input_tokens),
            output_tokens=max(self.output_tokens, other.output_tokens),
            cache_read_tokens=max(self.cache_read_tokens, other.cache_read_tokens),
            cache_write_tokens=max(self.cache_write_tokens, other.cache_write_tokens),
            details={**self.details, **details},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimits:
    """What one run, and all that it starts, may spend together. None means no limit of this kind."""

    requests: int | None = None
    tool_calls: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None

    def exhausted_by(self, spent: Usage) -> str | None:
        """Return which limit allows no further request to the model, in words; None when there is something left.

        A request after the last tool call is allowed: it is the one that makes something of the results.
        """
        used = (
            (spent.requests, self.requests, "requests"),
            (spent.input_tokens, self.input_tokens, "input tokens"),
            (spent.output_tokens, self.output_tokens, "output tokens"),
            (spent.input_tokens + spent.output_tokens, self.total_tokens, "total tokens"),
        )
        for value, limit, name in used:
            if limit is not None and value >= limit:
                return f"{value} of {limit} {name}"
        if self.tool_calls is not None and spent.tool_calls > self.tool_calls:
            return f"{spent.tool_calls} of {self.tool_calls} tool calls"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a tree of tasks may spend, and what it has spent: failed and canceled work counts."""

    limits: UsageLimits
    spent: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The result of a run: text, or JSON (then `text` is the same JSON) for a structured output type."""

    text: str
    json: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Why a task did not complete, in words that are fit for the caller."""

    reason: Reason
    message: str
    error_id: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of input beside the message: exactly one of `text`, `data` and `uri` is set."""

    name: str = ""
    media_type: str = ""
    text: str | None = None
    data: bytes | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """One step from a component down to a part of it.

    For a subagent, `toolset_id` names the toolset that has it; it is empty for a member of a team. `definition_json`
    describes an agent that was made while its parent ran; it is empty for one that the author wrote.
    """

    name: str
    toolset_id: str = ""
    definition_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where the component of a child comes from: a registered component, and the way down from it.

    `nesting_left` says how many further levels the child may delegate to.
    """

    component: ComponentRef
    path: tuple[Delegate, ...]
    nesting_left: int = 0
    runs_in_background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """All that is needed to run a task again from nothing: what, on which input, for whom, within which limits.

    `factory_input_json` is the validated input of the registered component's factory. `run_timeout_seconds` counts from
    the first start. `lineage` is set for a child.
    """

    component: ComponentRef
    lineage: Lineage | None = None
    message: str
    parts: tuple[Part, ...] = ()
    factory_input_json: str = "{}"
    identity: Identity
    session_id: str = ""
    run_timeout_seconds: float
    usage_limits: UsageLimits
    caller_metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a task asks somebody outside, and waits for until `expire_time`."""

    question_id: str
    task_id: str
    text: str
    create_time: datetime
    expire_time: datetime


class ApprovalKind(StrEnum):
    """What an approval is about: a call of a tool, a tool that somebody else runs, or what a step is or made."""

    TOOL = "tool"
    EXTERNAL = "external"
    REVIEW = "review"


class ApprovalState(StrEnum):
    """What became of an approval. RESOLVED means that somebody gave the result."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    RESOLVED = "resolved"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a task may not do, or cannot do, by itself, and waits for until `expire_time`.

    What was decided is in the fields from `reason` on: `new_arguments_json` replaces the arguments, `result_json` is
    the result that was given, `decided_by` the user who did.
    """

    approval_id: str
    task_id: str
    kind: ApprovalKind
    state: ApprovalState = ApprovalState.OPEN
    step: int = 0
    tool_call_id: str = ""
    tool_name: str = ""
    arguments_json: str = ""
    text: str = ""
    create_time: datetime
    expire_time: datetime
    reason: str = ""
    new_arguments_json: str = ""
    result_json: str = ""
    decided_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One execution of a component, as its row stands. Times are the store's, in UTC.

    `description` is what a child was asked to do; it is empty for a root. `outlives_parent` is true for a child that
    goes on when its parent ends. `tree_usage` is what a root and all below it spent; it is None for a child. A root's
    `approvals` are the open ones of its whole tree. `parked_seconds` is how long it waited without a process, and
    `parked_count` how often.
    """

    task_id: str
    root_task_id: str
    parent_task_id: str = ""
    component: ComponentRef
    state: TaskState
    tenant_id: str
    user_id: str
    session_id: str = ""
    priority: Priority = Priority.NORMAL
    attempt: int = 1
    create_time: datetime
    start_time: datetime | None = None
    update_time: datetime
    end_time: datetime | None = None
    usage: Usage = Usage()
    output: Output | None = None
    error: TaskError | None = None
    last_sequence: int = 0
    request_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    description: str = ""
    outlives_parent: bool = False
    tree_usage: Usage | None = None
    questions: tuple[Question, ...] = ()
    approvals: tuple[Approval, ...] = ()
    parked_seconds: float = 0.0
    parked_count: int = 0

    @property
    def needs_input(self) -> bool:
        """Whether the task, or one below a root, waits for somebody outside."""
        return self.state.needs_input or (bool(self.approvals) and self.state not in _ENDING)
