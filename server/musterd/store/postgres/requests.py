"""What earlier calls with a request id led to."""

from dataclasses import dataclass

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ports import RequestKey
from musterd.domain.task import Task
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.rows import read_task
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

_FIND = load_statement("find_request")
_INSERT = load_statement("insert_request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call led to."""

    task_id: str
    steer_id: str | None = None
    was_canceled_before: bool = False


async def find_outcome(connection: Connection, key: RequestKey | None) -> Outcome | None:
    """Return what an earlier call with this key led to. Raises REQUEST_ID_REUSED when it had another body."""
    if key is None:
        return None
    row = await connection.fetchrow(_FIND, key.tenant_id, key.user_id, key.method, key.request_id)
    if row is None:
        return None
    if row["body_sha256"] != key.body_sha256:
        raise MusterdError(
            reason=Reason.REQUEST_ID_REUSED,
            message=f"request_id {key.request_id!r} was used for a call with another content: give every call its own",
            metadata={"request_id": key.request_id},
        )
    return Outcome(task_id=row["task_id"], steer_id=row["steer_id"], was_canceled_before=row["was_canceled_before"])


async def find_task(connection: Connection, key: RequestKey) -> Task | None:
    """Return the task that an earlier call with this key made or changed. Raises REQUEST_ID_REUSED."""
    outcome = await find_outcome(connection, key)
    return None if outcome is None else await read_task(connection, outcome.task_id)


async def save_outcome(transaction: Transaction, key: RequestKey | None, outcome: Outcome) -> None:
    """Store what the call with this key led to.

    A call with the same key that is stored first makes this one collide: when it is tried again, it finds that outcome.
    """
    if key is None:
        return
    await transaction.connection.execute(
        _INSERT,
        key.tenant_id,
        key.user_id,
        key.method,
        key.request_id,
        key.body_sha256,
        outcome.task_id,
        outcome.steer_id,
        outcome.was_canceled_before,
        transaction.now_micros,
    )
