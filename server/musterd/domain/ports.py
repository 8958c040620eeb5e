"""What the runtime needs from a store, as one narrow port. Each operation is one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from musterd.domain.event import Event, Payload
from musterd.domain.principal import Identity, Viewer
from musterd.domain.step import Journal, StepRecord
from musterd.domain.task import ComponentRef, Output, Priority, Task, TaskError, TaskSpec, TaskState, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """Makes a mutating call repeatable: the id counts per tenant, user and method, and stands for one body."""

    tenant_id: str
    user_id: str
    method: str
    request_id: str
    body_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to be stored. With an `owner` it is WORKING at once, without one SUBMITTED."""

    task_id: str
    root_task_id: str
    parent_task_id: str = ""
    spec: TaskSpec
    priority: Priority = Priority.NORMAL
    owner: str | None = None
    request: RequestKey | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    payloads: tuple[Payload, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The stored task. `is_new` is False when the request had been made before: then nothing was stored."""

    task: Task
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWrite:
    """One fenced write of a running task: it takes effect only while `attempt` is the task's current attempt.

    `payloads` are appended to the log in order. A `state` that the guarded table does not allow from the stored one
    is ignored, so that a task that is CANCELING is not set back to WORKING; a terminal `state` that it does not allow,
    above all a second one, makes the whole write lost. With a terminal state, steering messages that are still pending
    become refused, and the terminal payload is stored with their ids. None leaves a column as it is.
    """

    task_id: str
    attempt: int
    payloads: tuple[Payload, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    state: TaskState | None = None
    usage: Usage | None = None
    output: Output | None = None
    error: TaskError | None = None
    applied_steer_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A write that took effect: the task's state after it, and the events with their places in the log.

    The row itself is not read back: most writes are deltas, and this is the hot path.
    """

    state: TaskState
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A write that had no effect: the task is in other hands, or has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTask:
    """A task that the caller owns from now on, with its new attempt."""

    task: Task
    spec: TaskSpec


class SteerState(StrEnum):
    """What became of a steering message."""

    PENDING = "pending"
    APPLIED = "applied"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer:
    """A message from outside for a running task."""

    steer_id: str
    task_id: str
    message: str
    user_id: str
    state: SteerState = SteerState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """A request to cancel: hard at once, or soft with a grace for the current step."""

    hard: bool
    grace_seconds: float
    reason: str
    cascade: bool
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """What waits for a task's runner: all steering messages, applied ones too, and the cancel order if there is one."""

    steers: tuple[Steer, ...]
    cancel: CancelOrder | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRecord:
    """What a cancel request did in the store.

    `to_interrupt` are the ids of the tasks that some runner must stop (the task itself and, with cascade, its live
    descendants). `was_canceled_before` is True when the task had ended as CANCELED before this request (and not
    through an earlier call with the same request key).
    """

    task: Task
    to_interrupt: tuple[str, ...]
    was_canceled_before: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks to list, newest first by (create_time, task_id). `before` is the last row of the page before."""

    viewer: Viewer
    limit: int
    before: tuple[datetime, str] | None = None
    states: frozenset[TaskState] = frozenset()
    component: ComponentRef | None = None
    component_kind: str = ""
    session_id: str = ""
    parent_task_id: str = ""
    root_task_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Events after a cursor, in order. `oldest_sequence` is the first that is still in the log (1 if it is whole)."""

    events: tuple[Event, ...]
    oldest_sequence: int
    last_sequence: int


CommitListener = Callable[[Sequence[Event]], None]
"""Called on the event loop's thread, in the order of commits, with the events of each commit."""


class Store(Protocol):
    """The durable truth about tasks.

    Refusals are MusterdErrors: REQUEST_ID_REUSED, TASK_NOT_FOUND, TASK_NOT_CANCELABLE, TASK_NOT_STEERABLE,
    TASK_NOT_WAITING, STORE_UNAVAILABLE (nothing was stored, and the same call may succeed later).
    """

    async def open(self, on_commit: CommitListener) -> None:
        """Connect, bring the schema up to date, and call `on_commit` after every later commit that stored events."""
        ...

    async def close(self) -> None:
        """Finish what was handed in, then let go of all resources."""
        ...

    async def now(self) -> datetime:
        """Return the store's time, in UTC."""
        ...

    async def find_request(self, key: RequestKey) -> Task | None:
        """Return the task that an earlier call with this key made or changed; None when there was none."""
        ...

    async def create_task(self, new: NewTask) -> Created:
        """Store a task with its first events, or return the one that an earlier call with the same key made."""
        ...

    async def write(self, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
        """Apply fenced writes in one transaction; the results are in the order of the writes."""
        ...

    async def claim_abandoned(self, owner: str, limit: int) -> Sequence[ClaimedTask]:
        """Take over tasks that have not ended and that no living owner holds, oldest first, each as a new attempt.

        SUBMITTED tasks become WORKING with attempt 1 when they never started; tasks in AUTH_REQUIRED are left alone.
        """
        ...

    async def release_task(self, task_id: str, attempt: int) -> None:
        """Give up a task that this owner holds, so that another (or the next) may claim it. Fenced like a write."""
        ...

    async def park_for_identity(self, task_id: str, attempt: int, payload: Payload) -> Stored | Lost:
        """Set a claimed task to AUTH_REQUIRED with its event, owned by nobody."""
        ...

    async def renew_identity(
        self, viewer: Viewer, task_id: str, identity: Identity, payload: Payload, request: RequestKey | None
    ) -> Task:
        """Give a task in AUTH_REQUIRED a new identity and make it SUBMITTED. Raises TASK_NOT_WAITING otherwise."""
        ...

    async def get_task(self, viewer: Viewer, task_id: str) -> Task:
        """Return a task that the viewer may see. Raises TASK_NOT_FOUND."""
        ...

    async def get_tasks(self, viewer: Viewer, task_ids: Sequence[str]) -> Sequence[Task]:
        """Return the tasks in the order of the ids. Raises TASK_NOT_FOUND for the first that is not visible."""
        ...

    async def list_tasks(self, query: TaskQuery) -> Sequence[Task]:
        """Return at most `query.limit` tasks, newest first."""
        ...

    async def get_descendants(self, task_id: str) -> Sequence[Task]:
        """Return all tasks below a task, in no particular order."""
        ...

    async def load_journal(self, task_id: str) -> Journal:
        """Return the stored steps of a task."""
        ...

    async def read_events(self, root_task_id: str, after_sequence: int, limit: int) -> EventPage:
        """Return a page of a tree's log."""
        ...

    async def request_cancel(
        self, viewer: Viewer, task_id: str, order: CancelOrder, request: RequestKey | None
    ) -> CancelRecord:
        """Store a cancel order.

        A task that nobody runs (SUBMITTED, AUTH_REQUIRED) becomes CANCELED with its terminal event here and now; one
        that runs becomes CANCELING with a CancelRequested event. A repeated order changes nothing, except that a hard
        one overrides a soft one. Raises TASK_NOT_CANCELABLE when the task ended otherwise.
        """
        ...

    async def add_steer(self, viewer: Viewer, steer: Steer, request: RequestKey | None) -> tuple[Steer, Task]:
        """Store a message for a running task, or return the one that an earlier call with the same key stored.

        Raises TASK_NOT_STEERABLE when the task has ended or is being canceled.
        """
        ...

    async def get_steer(self, steer_id: str) -> Steer:
        """Return a steering message as it stands."""
        ...

    async def read_inbox(self, task_id: str) -> Inbox:
        """Return what waits for the runner of a task."""
        ...
