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
    """What kind of thing a component is."""

    AGENT = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRef:
    """Names one registered component."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimits:
    """What one run may spend. None means no limit of this kind."""

    requests: int | None = None
    tool_calls: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


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
class TaskSpec:
    """All that is needed to run a task again from nothing: what, on which input, for whom, within which limits.

    `factory_input_json` is the validated input of the factory. `run_timeout_seconds` counts from the first start.
    """

    component: ComponentRef
    message: str
    parts: tuple[Part, ...] = ()
    factory_input_json: str = "{}"
    identity: Identity
    session_id: str = ""
    run_timeout_seconds: float
    usage_limits: UsageLimits
    caller_metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One execution of a component, as its row stands. Times are the store's, in UTC."""

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
