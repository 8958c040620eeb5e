"""What earlier calls with a request id led to."""

import sqlite3
from dataclasses import dataclass

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ports import RequestKey
from musterd.domain.task import Task
from musterd.store.sqlite.rows import read_task
from musterd.store.sqlite.transaction import Transaction

_FIND = """
SELECT body_sha256, task_id, steer_id, was_canceled_before
FROM request
WHERE tenant_id = ? AND user_id = ? AND method = ? AND request_id = ?
"""
_INSERT = """
INSERT INTO request
    (tenant_id, user_id, method, request_id, body_sha256, task_id, steer_id, was_canceled_before, create_time)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call led to."""

    task_id: str
    steer_id: str | None = None
    was_canceled_before: bool = False


def find_outcome(connection: sqlite3.Connection, key: RequestKey | None) -> Outcome | None:
    """Return what an earlier call with this key led to. Raises REQUEST_ID_REUSED when it had another body."""
    if key is None:
        return None
    row = connection.execute(_FIND, (key.tenant_id, key.user_id, key.method, key.request_id)).fetchone()
    if row is None:
        return None
    body_sha256, task_id, steer_id, was_canceled_before = row
    if body_sha256 != key.body_sha256:
        raise MusterdError(
            reason=Reason.REQUEST_ID_REUSED,
            message=f"request_id {key.request_id!r} was used for a call with another content: give every call its own",
            metadata={"request_id": key.request_id},
        )
    return Outcome(task_id=task_id, steer_id=steer_id, was_canceled_before=bool(was_canceled_before))


def find_task(connection: sqlite3.Connection, key: RequestKey) -> Task | None:
    """Return the task that an earlier call with this key made or changed. Raises REQUEST_ID_REUSED."""
    outcome = find_outcome(connection, key)
    return None if outcome is None else read_task(connection, outcome.task_id)


def save_outcome(transaction: Transaction, key: RequestKey | None, outcome: Outcome) -> None:
    """Store what the call with this key led to."""
    if key is None:
        return
    transaction.connection.execute(
        _INSERT,
        (
            key.tenant_id,
            key.user_id,
            key.method,
            key.request_id,
            key.body_sha256,
            outcome.task_id,
            outcome.steer_id,
            outcome.was_canceled_before,
            transaction.now_micros,
        ),
    )
