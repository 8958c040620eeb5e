"""What waits for a task's runner."""

from collections.abc import Sequence

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.orders import CancelOrder, Inbox, Steer, SteerState
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import Task, TaskState
from musterd.store.encoding import CANCEL_ORDER, TEXT
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.requests import Outcome, find_outcome, save_outcome
from musterd.store.postgres.rows import read_visible
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

_INSERT_STEER = load_statement("insert_steer")
_SAVE_CANCEL_ORDER = load_statement("save_cancel_order")
_READ_STEER = load_statement("read_steer")
_READ_INBOX = load_statement("read_inbox")
_READ_CANCEL_ORDER = load_statement("read_cancel_order")
_APPLY = load_statement("apply_steers")
_FIND_ORDERS = load_statement("find_orders")

_CANCEL = "cancel"


async def find_orders(connection: Connection, owner: str) -> Sequence[str]:
    """Return the ids of an owner's tasks for which something waits."""
    return [row["task_id"] for row in await connection.fetch(_FIND_ORDERS, owner)]


async def add_steer(
    transaction: Transaction, viewer: Viewer, steer: Steer, request: RequestKey | None
) -> tuple[Steer, Task]:
    """Store a message for a task that can still get it, unless its request was made before."""
    task = await read_visible(transaction.connection, viewer, steer.task_id)
    outcome = await find_outcome(transaction.connection, request)
    if outcome is not None and outcome.steer_id is not None:
        earlier = await read_steer(transaction.connection, outcome.steer_id)
        return earlier, await transaction.read_task(outcome.task_id)
    if task.state.is_terminal or task.state is TaskState.CANCELING:
        raise MusterdError(
            reason=Reason.TASK_NOT_STEERABLE,
            message=f"the task is {task.state.value} and takes no more messages",
            metadata={"task_id": task.task_id, "state": task.state.value},
        )
    await insert_steer(transaction, task.tenant_id, steer)
    await save_outcome(transaction, request, Outcome(task_id=steer.task_id, steer_id=steer.steer_id))
    return await read_steer(transaction.connection, steer.steer_id), await transaction.read_task(steer.task_id)


async def insert_steer(
    transaction: Transaction,
    tenant_id: str,
    steer: Steer,
    *,
    state: str = SteerState.PENDING.value,
    team: int | None = None,
    member: str | None = None,
) -> None:
    """Put a message into an inbox, or let it wait for a member when it has no task."""
    await transaction.connection.execute(
        _INSERT_STEER,
        tenant_id,
        steer.steer_id,
        steer.task_id or None,
        state,
        steer.user_id or None,
        TEXT.encode(steer.message),
        transaction.now_micros,
        team,
        member,
    )


async def read_steer(connection: Connection, steer_id: str) -> Steer:
    """Return a steering message as it stands. Raises LookupError when there is none."""
    row = await connection.fetchrow(_READ_STEER, steer_id)
    if row is None:
        raise LookupError(f"there is no steering message {steer_id!r}")
    return _to_steer(row)


async def read_inbox(connection: Connection, task_id: str) -> Inbox:
    """Return all that was ever put into a task's inbox."""
    found = await connection.fetch(_READ_INBOX, task_id)
    orders = [CANCEL_ORDER.decode(row["body"]) for row in found if row["kind"] == _CANCEL]
    return Inbox(
        steers=tuple(_to_steer(row) for row in found if row["kind"] != _CANCEL), cancel=orders[0] if orders else None
    )


async def read_cancel_order(connection: Connection, task_id: str) -> CancelOrder | None:
    """Return the order to cancel a task; None when nobody gave one."""
    body = await connection.fetchval(_READ_CANCEL_ORDER, task_id)
    return None if body is None else CANCEL_ORDER.decode(body)


async def save_cancel_order(transaction: Transaction, task: LiveTask, order: CancelOrder) -> None:
    """Store an order to cancel, in place of an earlier one."""
    await transaction.connection.execute(
        _SAVE_CANCEL_ORDER,
        task.tree.tenant_id,
        task.task_id,
        order.user_id or None,
        CANCEL_ORDER.encode(order),
        transaction.now_micros,
    )


async def mark_applied(transaction: Transaction, task_id: str, steer_ids: Sequence[str]) -> None:
    """Note that messages went into a request to the model."""
    await transaction.connection.execute(_APPLY, task_id, list(steer_ids))


def _to_steer(row: Row) -> Steer:
    return Steer(
        steer_id=row["entry_id"],
        task_id=row["task_id"],
        message=TEXT.decode(row["body"]),
        user_id=row["user_id"] or "",
        state=SteerState(row["state"]),
    )
