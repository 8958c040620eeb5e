"""What waits for a task's runner."""

import sqlite3
from collections.abc import Sequence

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.orders import CancelOrder, Inbox, Steer, SteerState
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import Task, TaskState
from musterd.store.encoding import CANCEL_ORDER, TEXT
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import read_visible
from musterd.store.sqlite.transaction import Transaction

_INSERT_STEER = """
INSERT INTO inbox (entry_id, task_id, kind, state, user_id, body, create_time) VALUES (?, ?, 'steer', ?, ?, ?, ?)
"""
_SAVE_CANCEL = """
INSERT INTO inbox (task_id, kind, state, user_id, body, create_time) VALUES (?, 'cancel', 'pending', ?, ?, ?)
ON CONFLICT (task_id) WHERE kind = 'cancel'
DO UPDATE SET user_id = excluded.user_id, body = excluded.body, create_time = excluded.create_time
"""
_READ_STEER = "SELECT entry_id, task_id, body, user_id, state FROM inbox WHERE entry_id = ? AND task_id IS NOT NULL"
_READ_STEERS = """
SELECT entry_id, task_id, body, user_id, state FROM inbox WHERE task_id = ? AND kind = 'steer' ORDER BY position
"""
_READ_CANCEL = "SELECT body FROM inbox WHERE task_id = ? AND kind = 'cancel'"
_APPLY = "UPDATE inbox SET state = 'applied' WHERE entry_id = ? AND task_id = ? AND state = 'pending'"
_FIND_PENDING = """
SELECT entry_id FROM inbox WHERE task_id = ? AND kind = 'steer' AND state = 'pending' ORDER BY position
"""
_REFUSE = "UPDATE inbox SET state = 'refused' WHERE task_id = ? AND kind = 'steer' AND state = 'pending'"
_FIND_ORDERS = """
SELECT DISTINCT task.task_id FROM task JOIN inbox ON inbox.task_id = task.task_id AND inbox.state = 'pending'
WHERE owner = ? AND end_time IS NULL
"""


def add_steer(transaction: Transaction, viewer: Viewer, steer: Steer, request: RequestKey | None) -> tuple[Steer, Task]:
    """Store a message for a task that can still get it, unless its request was made before."""
    task = read_visible(transaction.connection, viewer, steer.task_id)
    outcome = find_outcome(transaction.connection, request)
    if outcome is not None and outcome.steer_id is not None:
        return read_steer(transaction.connection, outcome.steer_id), transaction.read_task(outcome.task_id)
    if task.state.is_terminal or task.state is TaskState.CANCELING:
        raise MusterdError(
            reason=Reason.TASK_NOT_STEERABLE,
            message=f"the task is {task.state.value} and takes no more messages",
            metadata={"task_id": task.task_id, "state": task.state.value},
        )
    transaction.connection.execute(
        _INSERT_STEER,
        (
            steer.steer_id,
            steer.task_id,
            SteerState.PENDING.value,
            steer.user_id or None,
            TEXT.encode(steer.message),
            transaction.now_micros,
        ),
    )
    save_outcome(transaction, request, Outcome(task_id=steer.task_id, steer_id=steer.steer_id))
    return read_steer(transaction.connection, steer.steer_id), transaction.read_task(steer.task_id)


def read_steer(connection: sqlite3.Connection, steer_id: str) -> Steer:
    """Return a steering message as it stands. Raises LookupError when there is none."""
    row = connection.execute(_READ_STEER, (steer_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no steering message {steer_id!r}")
    return _to_steer(row)


def find_orders(connection: sqlite3.Connection, owner: str) -> Sequence[str]:
    """Return the ids of an owner's tasks for which something waits."""
    return [task_id for (task_id,) in connection.execute(_FIND_ORDERS, (owner,)).fetchall()]


def read_inbox(connection: sqlite3.Connection, task_id: str) -> Inbox:
    """Return all that was ever put into a task's inbox."""
    steers = connection.execute(_READ_STEERS, (task_id,)).fetchall()
    return Inbox(steers=tuple(map(_to_steer, steers)), cancel=read_cancel_order(connection, task_id))


def read_cancel_order(connection: sqlite3.Connection, task_id: str) -> CancelOrder | None:
    """Return the order to cancel a task; None when nobody gave one."""
    row = connection.execute(_READ_CANCEL, (task_id,)).fetchone()
    return None if row is None else CANCEL_ORDER.decode(row[0])


def save_cancel_order(transaction: Transaction, task_id: str, order: CancelOrder) -> None:
    """Store an order to cancel, in place of an earlier one."""
    parameters = (task_id, order.user_id or None, CANCEL_ORDER.encode(order), transaction.now_micros)
    transaction.connection.execute(_SAVE_CANCEL, parameters)


def mark_applied(transaction: Transaction, task_id: str, steer_ids: Sequence[str]) -> None:
    """Note that messages went into a request to the model."""
    transaction.connection.executemany(_APPLY, [(steer_id, task_id) for steer_id in steer_ids])


def refuse_pending(transaction: Transaction, task_id: str) -> tuple[str, ...]:
    """Refuse the messages that still wait, and return their ids."""
    pending = transaction.connection.execute(_FIND_PENDING, (task_id,)).fetchall()
    if pending:
        transaction.connection.execute(_REFUSE, (task_id,))
    return tuple(steer_id for (steer_id,) in pending)


def _to_steer(row: tuple[str, str | None, bytes, str | None, str]) -> Steer:
    steer_id, task_id, body, user_id, state = row
    return Steer(
        steer_id=steer_id,
        task_id=task_id or "",
        message=TEXT.decode(body),
        user_id=user_id or "",
        state=SteerState(state),
    )
