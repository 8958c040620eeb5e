"""What the runtime needs from a store, as one narrow port. Each operation is one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from musterd.domain.event import Event, Payload
from musterd.domain.hook_run import NewHookRun
from musterd.domain.orders import CancelOrder, CancelRecord, Inbox, Steer
from musterd.domain.principal import Identity, Viewer
from musterd.domain.queueing import Caps, Group
from musterd.domain.session import HistoryWrite
from musterd.domain.step import Journal, StepRecord
from musterd.domain.task import (
    Budget,
    ComponentRef,
    Output,
    Priority,
    Question,
    Task,
    TaskError,
    TaskSpec,
    TaskState,
    Usage,
)
from musterd.domain.team_board import Board, BoardCommand


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
    """A task to be stored. With an `owner` it is WORKING at once, without one it is SUBMITTED and waits in the queue.

    `max_queued` is how many tasks may wait in the queue at most, this one included. `payloads` are its first events.
    With `caps`, one that would be too many in a group, by the rows, waits in the queue all the same, without events.

    A child is stored only while `parent_attempt` is the current attempt of its parent and that is not being canceled.
    `parent_payloads` are told in the parent's name, before the child's own. `team_task_id` is set for a member's turn:
    messages of that team that wait for the member go into the new task's inbox.
    A root whose session another run has is SUBMITTED, and cannot be claimed until that one has ended; while that one
    waits for somebody outside, it is refused with SESSION_BUSY.
    """

    task_id: str
    root_task_id: str
    parent_task_id: str = ""
    parent_attempt: int = 0
    spec: TaskSpec
    description: str = ""
    outlives_parent: bool = False
    team_task_id: str = ""
    priority: Priority = Priority.NORMAL
    owner: str | None = None
    caps: Caps | None = None
    max_queued: int | None = None
    request: RequestKey | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    payloads: tuple[Payload, ...] = ()
    parent_payloads: tuple[Payload, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The stored task, and its tree's budget.

    `is_new` is False when nothing was stored: the request had been made before, or a child with this id is there.
    """

    task: Task
    is_new: bool
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWrite:
    """One fenced write of a running task: it takes effect only while `attempt` is the task's current attempt.

    `payloads` are appended to the log in order. A `state` that the guarded table does not allow from the stored one
    is ignored, so that a task that is CANCELING is not set back to WORKING; a terminal `state` that it does not allow,
    above all a second one, makes the whole write lost. With a terminal state, steering messages that are still pending
    become refused, open questions and approvals expire, and the terminal payload is stored with the messages' ids. The
    parent of a child that ends is told of it with SubtaskEnded, unless it has ended itself. None leaves a column as is.

    What `usage` adds to the task's own is charged to the tree. `history` is what a root adds to its session, and
    `hook_runs` are the hooks that are to run now that it has ended; both come with its terminal state alone.
    `is_waiting` says whether the task waits for others, and so counts for no cap; a new attempt does not.

    A `number` counts the writes of an attempt from 1; 0 is none. One whose number is not above that of the attempt's
    last write has no effect and is Stored without events: who did not hear of a commit may write the same again.
    """

    task_id: str
    attempt: int
    number: int = 0
    payloads: tuple[Payload, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    state: TaskState | None = None
    usage: Usage | None = None
    is_waiting: bool | None = None
    output: Output | None = None
    error: TaskError | None = None
    applied_steer_ids: tuple[str, ...] = ()
    history: HistoryWrite | None = None
    hook_runs: tuple[NewHookRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A write that took effect: the task's state after it, and the events with their places in the log.

    `tree_spent` is what the whole tree has spent by then, wherever it runs, for a write that says its own usage.
    `delivered` are the messages that a member's turn ended without reading, and that went to another turn of it.
    `frees_session` says that another run of the task's session, which had to wait, may be claimed now.
    The row itself is not read back: most writes are deltas, and this is the hot path.
    """

    state: TaskState
    events: tuple[Event, ...]
    tree_spent: Usage | None = None
    delivered: tuple[Steer, ...] = ()
    frees_session: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A write that had no effect: the task is in other hands, or has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTask:
    """A task that the caller owns from now on, with its new attempt, and its tree's budget."""

    task: Task
    spec: TaskSpec
    budget: Budget


class QuestionState(StrEnum):
    """What became of a question."""

    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """A question as it stands."""

    question: Question
    state: QuestionState
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRecord:
    """What a command did to a stored board.

    `delivered` are the messages that went into the inbox of a running task. `is_done` is as in `BoardChange`.
    """

    board: Board
    is_done: bool
    delivered: tuple[Steer, ...] = ()


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
    has_open_approvals: bool = False


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

    async def claim(self, owner: str, limit: int, caps: Caps, running: Mapping[Group, int]) -> Sequence[ClaimedTask]:
        """Take tasks that have not ended and that no living owner holds, each as a new attempt.

        First those that come first in the queue: a task's place is its age plus `QUEUE_STEP_SECONDS` for each step of
        its priority, so that none waits for ever. Tasks whose group is full stay: `running` counts by group what this
        owner runs, and the rows what other living owners run that waits neither for others nor for input. SUBMITTED
        tasks become WORKING, with attempt 1 when they never started; those in AUTH_REQUIRED or parked are left alone.
        """
        ...

    async def has_claimable(self, owner: str) -> bool:
        """Return whether `claim` would find anything for this owner if there were no caps."""
        ...

    async def add_lease(self, owner: str, seconds: float) -> None:
        """Let an owner that never was before live for so long. A store for one process needs no leases."""
        ...

    async def renew_lease(self, owner: str, seconds: float) -> bool:
        """Let an owner live for so long from now on. Returns False when its lease has run out: it stays dead."""
        ...

    async def end_lease(self, owner: str) -> None:
        """Let an owner be dead from now on."""
        ...

    async def find_held(self, owner: str) -> Mapping[str, int]:
        """Return the attempts of the tasks that an owner holds, by task id."""
        ...

    async def maintain(self) -> None:
        """Do what must be done now and then: at the start of a process, and every hour."""
        ...

    async def find_orders(self, owner: str) -> Sequence[str]:
        """Return the ids of the owner's tasks for which a message or an order to cancel waits."""
        ...

    async def get_last_sequences(self, root_task_ids: Sequence[str]) -> Mapping[str, int]:
        """Return where the logs of trees end."""
        ...

    async def count_queued(self) -> int:
        """Return how many tasks are SUBMITTED."""
        ...

    async def release_task(self, task_id: str, attempt: int, *, may_park: bool = True) -> None:
        """Give up a task that this owner holds, so that another (or the next) may claim it. Fenced like a write.

        With `may_park` one that waits for approvals of its own alone is parked.
        """
        ...

    async def park_for_identity(self, task_id: str, attempt: int, payload: Payload) -> Stored | Lost:
        """Set a claimed task to AUTH_REQUIRED with its event, owned by nobody."""
        ...

    async def renew_identity(
        self, viewer: Viewer, task_id: str, identity: Identity, payload: Payload, request: RequestKey | None
    ) -> Task:
        """Give a task in AUTH_REQUIRED a new identity and make it SUBMITTED. Raises TASK_NOT_WAITING otherwise.

        So it does with all tasks of its tree that nobody runs: one that waits for no identity keeps its state.
        """
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

        A task that nobody runs (SUBMITTED, AUTH_REQUIRED, parked without children) becomes CANCELED with its terminal
        event here and now, after what ends so below it; any other becomes CANCELING with a CancelRequested event, and
        may be claimed if it is parked. A repeated order changes nothing, except that a hard one overrides a soft one.
        Raises TASK_NOT_CANCELABLE when the task ended otherwise.
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

    async def ask(
        self, task_id: str, attempt: int, *, question_id: str, text: str, seconds: float
    ) -> AskedQuestion | Lost:
        """Store a question that is open for so long, and set the task to INPUT_REQUIRED; fenced like a write.

        A question that is there is returned as it stands.
        """
        ...

    async def answer(
        self, viewer: Viewer, task_id: str, question_id: str, *, answer: str, user_id: str, request: RequestKey | None
    ) -> Task:
        """Answer an open question; with the last one answered the task is WORKING again.

        An empty `question_id` means the only one that is open. Raises TASK_NOT_WAITING when it is not open, or when it
        is empty and none or several are.
        """
        ...

    async def expire_question(self, task_id: str, attempt: int, question_id: str) -> AskedQuestion | Lost:
        """Close a question that nobody answered, and return it as it stands: an answer may have come first."""
        ...

    async def get_question(self, question_id: str) -> AskedQuestion:
        """Return a question as it stands."""
        ...

    async def change_board(
        self,
        team_task_id: str,
        command: BoardCommand,
        *,
        viewer: Viewer | None = None,
        request: RequestKey | None = None,
    ) -> BoardRecord:
        """Apply a command to the board of a team, with its events in the team's name.

        A message also goes into the inbox of each receiver that runs: `leader` is the team's task, a member its oldest
        live child with that name. A parked team that gets a todo may be claimed, as may those above it. `viewer` is
        None for the team itself. Raises TASK_NOT_FOUND, BOARD_NOT_FOUND, TODO_REFUSED, MEMBER_NOT_FOUND, TEAM_ENDED.
        """
        ...

    async def get_board(self, viewer: Viewer | None, team_task_id: str) -> Board:
        """Return a team's board. Raises TASK_NOT_FOUND, and BOARD_NOT_FOUND for a task that is no team's."""
        ...
