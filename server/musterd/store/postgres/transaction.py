"""One transaction: locks trees, gathers what changes in them, and stores that in one statement."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from musterd.domain.event import Event, Payload
from musterd.domain.task import ComponentKind, ComponentRef, Output, Task, TaskError, TaskState, Usage
from musterd.store.encoding import ERROR, EVENT_FORMAT, OUTPUT, PAYLOAD_ENCODERS, USAGE, from_micros, to_micros
from musterd.store.postgres import rows
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.live import Change, LiveTask, LiveTree
from musterd.store.postgres.statements import load_statement

_LOCK_TREES = load_statement("lock_trees")
_LOCK_TASKS = load_statement("lock_tasks")
_FLUSH = load_statement("flush")


class Transaction:
    """What operations write through. `now` is the one time of all that it stores.

    Whoever changes a tree, or a task in it, has locked the tree; a claim alone has not, it locks the tasks. Trees are
    locked before tasks and in the order of their ids, so that no two transactions wait for each other.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.now = from_micros(0)
        self.now_micros = 0
        self.transaction_id = ""
        self.events: list[Event] = []
        self._trees: dict[str, LiveTree] = {}
        self._tasks: dict[str, LiveTask] = {}
        self._event_rows: list[tuple[object, ...]] = []
        self._moved: dict[LiveTree, None] = {}
        self._changes: dict[LiveTask, Change] = {}

    async def begin(self, root_task_ids: Iterable[str], clock: Callable[[], datetime] | None) -> None:
        """Lock trees, and take the time; those that do not exist are passed over."""
        found = await self.connection.fetch(_LOCK_TREES, list(root_task_ids))
        self.transaction_id = found[-1]["transaction_id"]
        self.now = clock() if clock is not None else from_micros(found[-1]["now_micros"])
        self.now_micros = to_micros(self.now)
        for row in found:
            if row["number"] is not None:
                self.remember_tree(_to_tree(row))

    def remember_tree(self, tree: LiveTree) -> LiveTree:
        """Return a tree that this transaction has locked or made."""
        self._trees[tree.root_task_id] = tree
        return tree

    def remember(self, task: LiveTask) -> LiveTask:
        """Return a task that this transaction has made."""
        self._tasks[task.task_id] = task
        return task

    async def find(self, task_id: str) -> LiveTask | None:
        """Return what decides about writes of a task; None when no tree that is locked has such a task."""
        if task_id not in self._tasks:
            await self.find_all((task_id,))
        return self._tasks.get(task_id)

    async def find_all(self, task_ids: Collection[str]) -> None:
        """Look for tasks at once, so that `find` need not ask for each."""
        for row in await self.connection.fetch(_LOCK_TASKS, list(task_ids)):
            tree = self._trees.get(row["root_task_id"])
            if tree is not None and row["task_id"] not in self._tasks:
                self.remember(_to_live(row, tree))

    async def read_task(self, task_id: str) -> Task:
        """Return a task's whole row as this transaction leaves it."""
        await self.flush()
        return await rows.read_task(self.connection, task_id)

    def append(self, task: LiveTask, payloads: Sequence[Payload]) -> tuple[Event, ...]:
        """Put events at the end of the log of the task's tree."""
        if not payloads:
            return ()
        tree = task.tree
        sequence = tree.last_sequence
        events: list[Event] = []
        for payload in payloads:
            sequence += 1
            kind, encode = PAYLOAD_ENCODERS[type(payload)]
            self._event_rows.append(
                (tree.number, task.number, sequence, tree.create_day, tree.tenant_id, kind, encode(payload))
            )
            events.append(Event(tree.root_task_id, task.task_id, sequence, self.now, task.component, payload))
        tree.last_sequence = sequence
        self._moved[tree] = None
        self.events += events
        return tuple(events)

    def update(
        self,
        task: LiveTask,
        *,
        usage: Usage | None = None,
        output: Output | None = None,
        error: TaskError | None = None,
    ) -> None:
        """Store columns that are given, and leave the others as they are."""
        change = self._change(task)
        change.is_touched = True
        if usage is not None:
            task.tree.charge(task.usage, usage)
            task.usage = change.usage = usage
            self._moved[task.tree] = None
        change.output = output or change.output
        change.error = error or change.error

    def change_state(
        self,
        task: LiveTask,
        state: TaskState,
        *,
        usage: Usage | None = None,
        output: Output | None = None,
        error: TaskError | None = None,
    ) -> None:
        """Store a state that the task may go to, its owner and attempt as they stand, and columns that are given.

        A task that ends belongs to nobody; one that is owned has started.
        """
        task.state = state
        if state.is_terminal:
            task.owner = None
        self.update(task, usage=usage, output=output, error=error)
        self._change(task).has_new_state = True

    def release(self, task: LiveTask) -> None:
        """Let a task belong to nobody."""
        task.owner = None
        self.update(task)

    def note_waiting(self, task: LiveTask, *, is_waiting: bool) -> None:
        """Note whether a task waits for others, and holds no slot."""
        task.is_waiting = is_waiting
        self._change(task)

    def count_write(self, task: LiveTask, number: int) -> None:
        """Note the number of a write; 0 is none."""
        if number > task.last_write:
            task.last_write = number
            self._change(task)

    def _change(self, task: LiveTask) -> Change:
        return self._changes.setdefault(task, Change())

    async def flush(self) -> None:
        """Store what has changed."""
        if not (self._event_rows or self._moved or self._changes):
            return
        trees = [(tree.number, tree.last_sequence, *rows.spent_values(tree.spent)) for tree in self._moved]
        tasks = [self._task_values(task, change) for task, change in self._changes.items()]
        events = self._event_rows
        self._event_rows, self._moved, self._changes = [], {}, {}
        await self.connection.execute(
            _FLUSH,
            *_columns(trees, 8),
            *_columns(tasks, 12),
            *_columns(events, 7),
            self.now_micros,
            EVENT_FORMAT,
        )

    def _task_values(self, task: LiveTask, change: Change) -> tuple[object, ...]:
        now = self.now_micros
        return (
            task.number,
            task.state.value,
            task.attempt,
            task.last_write,
            task.owner,
            task.is_waiting,
            None if change.usage is None else USAGE.encode(change.usage),
            None if change.output is None else OUTPUT.encode(change.output),
            None if change.error is None else ERROR.encode(change.error),
            now if change.is_touched else None,
            now if change.has_new_state and task.owner is not None else None,
            now if task.state.is_terminal else None,
        )


def _columns(values: Sequence[tuple[object, ...]], width: int) -> Sequence[Sequence[object]]:
    """Return rows as columns."""
    return list(zip(*values, strict=True)) if values else [()] * width


def _to_tree(row: Row) -> LiveTree:
    return LiveTree(
        number=row["number"],
        root_task_id=row["root_task_id"],
        tenant_id=row["tenant_id"],
        create_day=row["create_day"],
        last_sequence=row["last_sequence"],
        limits_json=row["limits"],
        spent=rows.to_spent(row),
    )


def _to_live(row: Row, tree: LiveTree) -> LiveTask:
    return LiveTask(
        number=row["number"],
        task_id=row["task_id"],
        parent_task_id=row["parent_task_id"],
        tree=tree,
        component=ComponentRef(kind=ComponentKind(row["component_kind"]), id=row["component_id"]),
        state=TaskState(row["state"]),
        attempt=row["attempt"],
        last_write=row["last_write"],
        owner=row["owner"],
        is_waiting=row["is_waiting"],
        usage=rows.to_usage(row["usage"]),
    )
