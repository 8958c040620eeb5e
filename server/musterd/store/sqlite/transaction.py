"""One transaction of the writer: reads through the cache, gathers events, writes them in few statements."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

from musterd.domain.event import Event, Payload
from musterd.domain.task import ComponentKind, ComponentRef, Output, Task, TaskError, TaskState, Usage
from musterd.store.encoding import ERROR, EVENT_FORMAT, OUTPUT, PAYLOAD_ENCODERS, USAGE, USAGE_LIMITS, to_micros
from musterd.store.sqlite import rows
from musterd.store.sqlite.batches import BatchStatement
from musterd.store.sqlite.live import LiveCache, LiveTask, LiveTree

_FIND = f"""
SELECT task.number, parent_task_id, component_kind, component_id, state, attempt, last_write, owner, usage,
       tree.number, task.root_task_id, last_sequence, limits, {rows.SPENT_COLUMNS}
FROM task JOIN tree ON tree.root_task_id = task.root_task_id
WHERE task_id = ?
"""  # noqa: S608 - of constants
_UPDATE = """
UPDATE task
SET usage = coalesce(?, usage), output = coalesce(?, output), error = coalesce(?, error), update_time = ?,
    last_write = ?
WHERE number = ?
"""
_UPDATE_STATE = """
UPDATE task
SET usage = coalesce(?, usage), output = coalesce(?, output), error = coalesce(?, error), update_time = ?,
    last_write = ?, state = ?, attempt = ?, owner = ?, start_time = coalesce(start_time, ?), end_time = ?
WHERE number = ?
"""

# Apart from the others: each change of this column moves the task in indexes.
_NOTE_WAITING = "UPDATE task SET is_waiting = ? WHERE number = ?"

# A failure undoes the whole transaction, so the statements need not be able to undo themselves: OR FAIL spares SQLite
# a copy of every page that they touch.
_INSERT_EVENTS = BatchStatement(
    "INSERT OR FAIL INTO event (tree, sequence, task, create_time, kind, payload, format) VALUES ",
    f"(?, ?, ?, ?, ?, ?, {EVENT_FORMAT})",
)
_MOVE_TREES = BatchStatement(
    "UPDATE OR FAIL tree SET last_sequence = moved.column2 FROM (VALUES ",
    "(?, ?)",
    ") AS moved WHERE tree.number = moved.column1",
)
_CHARGE_TREES = BatchStatement(
    f"UPDATE OR FAIL tree SET ({rows.SPENT_COLUMNS})"  # noqa: S608 - of constants
    " = (charged.column2, charged.column3, charged.column4, charged.column5, charged.column6, charged.column7)"
    " FROM (VALUES ",
    "(?, ?, ?, ?, ?, ?, ?)",
    ") AS charged WHERE tree.number = charged.column1",
)


class Transaction:
    """What operations write through. `now` is the one time of all that it stores."""

    def __init__(self, connection: sqlite3.Connection, live: LiveCache, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self.now_micros = to_micros(now)
        self.events: list[Event] = []
        self._live = live
        self._event_parameters: list[object] = []
        self._moved: dict[LiveTree, None] = {}
        self._charged: dict[LiveTree, None] = {}

    def find(self, task_id: str) -> LiveTask | None:
        """Return what decides about writes of a task; None when there is no such task."""
        task = self._live.tasks.get(task_id)
        if task is not None:
            return task
        row = self.connection.execute(_FIND, (task_id,)).fetchone()
        if row is None:
            return None
        number, parent_task_id, kind, component_id, state, attempt, last_write, owner, usage, *tree = row
        return self.remember(
            LiveTask(
                number=number,
                task_id=task_id,
                parent_task_id=parent_task_id,
                tree=self._find_tree(*tree),
                component=ComponentRef(kind=ComponentKind(kind), id=component_id),
                state=TaskState(state),
                attempt=attempt,
                last_write=last_write,
                owner=owner,
                usage=rows.NO_USAGE if usage is None else USAGE.decode(usage),
            )
        )

    def _find_tree(self, number: int, root_task_id: str, last_sequence: int, limits: bytes, *spent: int) -> LiveTree:
        tree = self._live.trees.get(root_task_id)
        if tree is not None:
            return tree
        return LiveTree(
            number=number,
            root_task_id=root_task_id,
            last_sequence=last_sequence,
            limits=USAGE_LIMITS.decode(limits),
            spent=rows.to_spent(spent),
        )

    def remember(self, task: LiveTask) -> LiveTask:
        """Return the task, which later writes find without reading its row."""
        self._live.tasks[task.task_id] = task
        self._live.trees[task.tree.root_task_id] = task.tree
        return task

    def forget(self, *, task_ids: Iterable[str] = (), root_task_ids: Iterable[str] = ()) -> None:
        """Forget ended tasks and trees, whose rows are gone."""
        for task_id in task_ids:
            self._live.tasks.pop(task_id, None)
        for root_task_id in root_task_ids:
            self._live.trees.pop(root_task_id, None)

    def read_task(self, task_id: str) -> Task:
        """Return a task's whole row as this transaction leaves it."""
        self.flush()
        return rows.read_task(self.connection, task_id)

    def append(self, task: LiveTask, payloads: Sequence[Payload]) -> tuple[Event, ...]:
        """Put events at the end of the log of the task's tree."""
        tree = task.tree
        root_task_id, task_id, component, now = tree.root_task_id, task.task_id, task.component, self.now
        tree_number, task_number, now_micros = tree.number, task.number, self.now_micros
        sequence = tree.last_sequence
        parameters = self._event_parameters
        events: list[Event] = []
        for payload in payloads:
            sequence += 1
            kind, encode = PAYLOAD_ENCODERS[type(payload)]
            parameters += (tree_number, sequence, task_number, now_micros, kind, encode(payload))
            events.append(Event(root_task_id, task_id, sequence, now, component, payload))
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
        self.connection.execute(_UPDATE, (*self._columns(task, usage, output, error), task.number))

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
            # No write of it will come.
            self._live.tasks.pop(task.task_id, None)
        self.connection.execute(
            _UPDATE_STATE,
            (
                *self._columns(task, usage, output, error),
                state.value,
                task.attempt,
                task.owner,
                self.now_micros if task.owner is not None else None,
                self.now_micros if state.is_terminal else None,
                task.number,
            ),
        )

    def note_waiting(self, task: LiveTask, *, is_waiting: bool) -> None:
        """Store whether a task waits for others, and holds no slot."""
        self.connection.execute(_NOTE_WAITING, (is_waiting, task.number))

    def flush(self) -> None:
        """Write the events that were appended, and where that leaves their trees."""
        if self._event_parameters:
            _INSERT_EVENTS.run(self.connection, self._event_parameters)
            self._event_parameters = []
        if self._moved:
            _MOVE_TREES.run(
                self.connection, [value for tree in self._moved for value in (tree.number, tree.last_sequence)]
            )
            self._moved = {}

        if self._charged:
            _CHARGE_TREES.run(
                self.connection,
                [value for tree in self._charged for value in (tree.number, *rows.spent_values(tree.spent))],
            )
            self._charged = {}

    def _columns(
        self, task: LiveTask, usage: Usage | None, output: Output | None, error: TaskError | None
    ) -> tuple[bytes | None, bytes | None, bytes | None, int, int]:
        if usage is not None:
            task.tree.charge(task.usage, usage)
            task.usage = usage
            self._charged[task.tree] = None
        return (
            None if usage is None else USAGE.encode(usage),
            None if output is None else OUTPUT.encode(output),
            None if error is None else ERROR.encode(error),
            self.now_micros,
            task.last_write,
        )
