"""The values of the contract: tasks, agents, input and the facts of a server, as frozen dataclasses.

A server may be newer than this client: an enum value that the client does not know decodes as the enum's UNKNOWN.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from musterd_client.approval_model import Approval

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


class TaskState(StrEnum):
    """Where a task is in its life."""

    UNKNOWN = "UNKNOWN"
    SUBMITTED = "SUBMITTED"
    WORKING = "WORKING"
    RETRYING = "RETRYING"
    INPUT_REQUIRED = "INPUT_REQUIRED"
    AUTH_REQUIRED = "AUTH_REQUIRED"
    CANCELING = "CANCELING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended: it never changes again."""
        return self in _TERMINAL


_TERMINAL = frozenset((TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED))


class Priority(StrEnum):
    """How urgent a task is among those that wait."""

    UNKNOWN = "UNKNOWN"
    LOW = "LOW"
    NORMAL = "NORMAL"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class ComponentKind(StrEnum):
    """What kind of thing a component is. SUBAGENT, MEMBER and STEP are parts of another, and cannot be run alone."""

    UNKNOWN = "UNKNOWN"
    AGENT = "AGENT"
    TEAM = "TEAM"
    WORKFLOW = "WORKFLOW"
    SUBAGENT = "SUBAGENT"
    MEMBER = "MEMBER"
    STEP = "STEP"


class OnDisconnect(StrEnum):
    """What happens to a run when the client that started it drops its stream."""

    CONTINUE = "CONTINUE"
    CANCEL = "CANCEL"


class WatchUntil(StrEnum):
    """When a watch ends: with the task's terminal event, or when every task of the tree below it has ended too."""

    TASK = "TASK"
    TREE = "TREE"


class WaitMode(StrEnum):
    """Whether to wait until all tasks have ended, or any one of them."""

    ALL = "ALL"
    ANY = "ANY"


class CancelMode(StrEnum):
    """SOFT stops between steps and interrupts the current one when the grace ends; HARD interrupts it at once."""

    SOFT = "SOFT"
    HARD = "HARD"


class CancelOutcome(StrEnum):
    """What a cancel request led to."""

    UNKNOWN = "UNKNOWN"
    CANCELED = "CANCELED"
    CANCELING = "CANCELING"
    ALREADY_CANCELED = "ALREADY_CANCELED"


class SteerOutcome(StrEnum):
    """What became of a steering message: it is in a request to the model, or stored for the next one."""

    UNKNOWN = "UNKNOWN"
    APPLIED = "APPLIED"
    PENDING = "PENDING"


class HealthStatus(StrEnum):
    """What a server says of itself or of one service, in the terms of grpc.health.v1."""

    UNKNOWN = "UNKNOWN"
    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRef:
    """Names one registered component, or a part of one by its name within it."""

    kind: ComponentKind
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run has spent. `details` has the provider's own counters."""

    requests: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    details: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimits:
    """What one run, and all that it starts, may spend together. None leaves a limit to the server."""

    requests: int | None = None
    tool_calls: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The result of a run: text, or JSON (then `text` is the same JSON) when the agent's output type is structured."""

    text: str = ""
    json: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Why a task did not complete. `reason` is a name of the contract's ErrorReason without its prefix."""

    reason: str
    message: str
    error_id: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that a task asks, and waits for until `expire_time`; `tasks.answer` answers it."""

    question_id: str
    text: str
    create_time: datetime | None = None
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One execution of a component, as it stood when the server sent it. Times are in UTC.

    `description` is what a child was asked to do. `outlives_parent` is true for a child that goes on when its parent
    ends. `tree_usage` is what a root and all tasks below it spent; it is None for a child, and for a task whose end is
    known from its last event alone. `questions` are those that are open; `approvals` too, of a root in its whole tree.
    """

    task_id: str
    root_task_id: str
    parent_task_id: str = ""
    component: ComponentRef
    state: TaskState
    tenant_id: str = ""
    user_id: str = ""
    session_id: str = ""
    priority: Priority = Priority.NORMAL
    attempt: int = 0
    create_time: datetime | None = None
    start_time: datetime | None = None
    update_time: datetime | None = None
    end_time: datetime | None = None
    usage: Usage = Usage()
    output: Output | None = None
    error: TaskError | None = None
    last_sequence: int = 0
    request_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    description: str = ""
    outlives_parent: bool = False
    tree_usage: Usage | None = None
    questions: tuple[Question, ...] = ()
    approvals: tuple[Approval, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether the task has no parent: then its events are the whole log of its tree."""
        return self.root_task_id == self.task_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What a completed task came to."""

    task: Task
    output: Output
    usage: Usage

    @property
    def text(self) -> str:
        """The result as text; for a structured result, its JSON."""
        return self.output.text

    @property
    def data(self) -> JsonValue:
        """The structured result, parsed; the text when the result is plain text."""
        return json.loads(self.output.json) if self.output.json else self.output.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that an agent's model can call."""

    name: str
    description: str = ""
    parameters_schema_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent that can be run. `tools` is empty for a factory, whose tools are not known in advance."""

    agent_id: str
    name: str
    description: str = ""
    is_factory: bool = False
    input_schema_json: str = ""
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """Text that goes to the model beside the message."""

    text: str
    name: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """The bytes of an image, a document, audio or video, with its media type, for example image/png."""

    data: bytes = field(repr=False)
    media_type: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UriPart:
    """An address that goes to the model's provider as it is."""

    uri: str
    name: str = ""
    media_type: str = ""


Part = TextPart | DataPart | UriPart


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitResult:
    """How the tasks stand, in the order asked for. `timed_out` says that the time ran out first."""

    tasks: tuple[Task, ...]
    pending_task_ids: tuple[str, ...] = ()
    input_required_task_ids: tuple[str, ...] = ()
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelResult:
    """The task after a cancel request, and what really happened."""

    task: Task
    outcome: CancelOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SteerResult:
    """The task after a steering message, and what became of the message."""

    steer_id: str
    outcome: SteerOutcome
    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """The limits in force on a server."""

    max_message_bytes: int
    max_running_tasks: int
    max_wait_tasks: int
    max_page_size: int
    max_run_timeout_seconds: float | None
    max_requests_per_run: int
    max_reader_lag_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """A server's version, the names of its features, and its limits."""

    version: str
    features: tuple[str, ...]
    limits: ServerLimits
