"""What tasks may only do once somebody outside has agreed, or has done it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from musterd.domain.approval_store import NewApproval, Renewal, Resolution, Resolved
from musterd.domain.event import AuthRenewed, Payload
from musterd.domain.ports import Lost, RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.resolving import decide_all, make_approval, named_ids, tell_requested, tell_resolved
from musterd.domain.task import Approval, ApprovalState, Task, TaskState, can_change
from musterd.store.encoding import APPROVAL, to_micros
from musterd.store.postgres.approval_rows import (
    find_approvals,
    find_open_requests,
    read_open_in_tree,
    read_open_of_task,
)
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.requests import Outcome, find_outcome, save_outcome
from musterd.store.postgres.rows import read_shown
from musterd.store.postgres.specs import replace_identity
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

_INSERT = load_statement("insert_approval")
_CLOSE = load_statement("close_approval")
_FIND_WITHIN = load_statement("find_within")
_COUNT_CHILDREN = load_statement("count_children")
_IS_ANY_OVER = load_statement("is_any_over")
_PARK = load_statement("park_task")
_SET_WAKE_TIME = load_statement("set_wake_time")
_UNPARK = load_statement("unpark_task")
_WAKE = load_statement("wake_task")
_WAKE_ABOVE = load_statement("wake_tasks_above")


async def request_approvals(
    transaction: Transaction, task_id: str, attempt: int, *, new: Sequence[NewApproval], seconds: float
) -> Sequence[Approval] | Lost:
    """Store approvals, those that are not there, and let the task wait while one is open."""
    task = await transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    ids = [one.approval_id for one in new]
    known = dict(await find_approvals(transaction.connection, ids))
    for one in new:
        if one.approval_id not in known:
            approval = make_approval(one, task_id, now=transaction.now, seconds=seconds)
            known[one.approval_id] = approval
            await _insert(transaction, task, approval)
            transaction.append(task, (tell_requested(approval),))
    asked = [known[approval_id] for approval_id in ids]
    # A task that was taken over works until it asks again.
    is_open = any(approval.state is ApprovalState.OPEN for approval in asked)
    if is_open and task.state is not TaskState.INPUT_REQUIRED and can_change(task.state, TaskState.INPUT_REQUIRED):
        transaction.change_state(task, TaskState.INPUT_REQUIRED)
    return asked


async def expire_approvals(transaction: Transaction, task_id: str, attempt: int) -> Sequence[Approval] | Lost:
    """Close the approvals of a task that nobody decided in time."""
    task = await transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    expired = [
        replace(approval, state=ApprovalState.EXPIRED)
        for approval in await read_open_of_task(transaction.connection, task_id)
        if approval.expire_time <= transaction.now
    ]
    await _close(transaction, expired)
    return expired


async def resolve(
    transaction: Transaction,
    viewer: Viewer,
    task_id: str,
    resolutions: Sequence[Resolution],
    *,
    user_id: str,
    renewal: Renewal | None = None,
    request: RequestKey | None,
) -> Resolved:
    """Decide about approvals of a task and of what is below it, unless the request was made before."""
    connection = transaction.connection
    seen = await read_shown(connection, viewer, task_id)
    if await find_outcome(connection, request) is not None:
        return Resolved(task=await transaction.read_task(task_id), decided_task_ids=())
    named = await find_approvals(connection, named_ids(resolutions))
    found = await _within(connection, seen, list(named.values()))
    in_tree: Sequence[Approval] = ()
    if not all(resolution.approval_id for resolution in resolutions):
        in_tree = await read_open_in_tree(connection, seen.root_task_id)
    decided = decide_all(
        seen,
        resolutions,
        {approval.approval_id: approval for approval in found},
        await _within(connection, seen, in_tree),
        user_id=user_id,
        now=transaction.now,
    )
    woken_task_ids = await _close(transaction, decided)
    await save_outcome(transaction, request, Outcome(task_id=task_id))
    decided_task_ids = tuple(dict.fromkeys(approval.task_id for approval in decided))
    if renewal is not None:
        identity, going_on = renewal.identity, (*decided_task_ids, *woken_task_ids)
        payload = AuthRenewed(user_id=identity.user_id)
        await renew(transaction, going_on, identity, payload, before=renewal.before)
    return Resolved(task=await transaction.read_task(task_id), decided_task_ids=decided_task_ids)


async def renew(
    transaction: Transaction,
    task_ids: Sequence[str],
    identity: Identity,
    payload: Payload,
    *,
    before: datetime | None = None,
) -> None:
    """Let tasks that nobody runs go on under a new identity, where theirs is older than `before`.

    Those that wait for it may be claimed again, and `payload` tells of it.
    """
    for task_id in task_ids:
        task = await transaction.find(task_id)
        if task is None or task.owner is not None or task.state.is_terminal:
            continue
        is_old = await replace_identity(transaction.connection, task.number, identity, before=before)
        if is_old and task.state is TaskState.AUTH_REQUIRED:
            transaction.append(task, (payload,))
            transaction.change_state(task, TaskState.SUBMITTED)


async def park(
    transaction: Transaction, task_id: str, attempt: int, *, awaited: Collection[str], number: int | None
) -> bool | Lost:
    """Give up a task that waits for approvals alone, its own or those of the tasks below it."""
    task = await transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    if number not in (None, task.last_write) or await transaction.connection.fetchval(_IS_ANY_OVER, list(awaited)):
        return False
    live, parked = await count_children(transaction.connection, task_id)
    if parked < live:
        return False
    if task.state is TaskState.WORKING and parked:
        await _park(transaction, task)
        return True
    return await try_park(transaction, task)


async def try_park(transaction: Transaction, task: LiveTask) -> bool:
    """Give up a task if it waits for approvals of its own alone, and return whether it does."""
    # One that waits for an answer as well has to be there to hear it.
    if task.state is not TaskState.INPUT_REQUIRED or await find_open_requests(transaction.connection, task.task_id) != (
        False,
        True,
    ):
        return False
    await _park(transaction, task)
    return True


async def _park(transaction: Transaction, task: LiveTask) -> None:
    transaction.release(task)
    await transaction.connection.execute(_PARK, task.task_id, transaction.now_micros)


async def count_children(connection: Connection, task_id: str) -> tuple[int, int]:
    """Return how many children of a task have not ended, and how many of these are parked."""
    row = await connection.fetchrow(_COUNT_CHILDREN, task_id)
    return (row["live"], row["parked"]) if row is not None else (0, 0)


async def wake(transaction: Transaction, task: LiveTask) -> None:
    """Let a task be claimed now, if it is parked."""
    await transaction.connection.execute(_WAKE, task.number)


async def wake_above(transaction: Transaction, task: LiveTask) -> Sequence[str]:
    """Let the tasks above one be claimed that are parked, and return their ids."""
    return [row["task_id"] for row in await transaction.connection.fetch(_WAKE_ABOVE, task.task_id)]


async def unpark(transaction: Transaction, task: LiveTask) -> None:
    """Note how long a task was parked, and that it was, if so."""
    await transaction.connection.execute(_UNPARK, task.task_id, transaction.now_micros)


async def _insert(transaction: Transaction, task: LiveTask, approval: Approval) -> None:
    values = (approval.approval_id, approval.task_id, APPROVAL.encode(approval), to_micros(approval.expire_time))
    await transaction.connection.execute(_INSERT, task.tree.root_task_id, *values)


async def _close(transaction: Transaction, approvals: Sequence[Approval]) -> Sequence[str]:
    """Store what became of open approvals; a task that waits for nobody any more works again.

    Returns the ids of the tasks above that were parked for its sake, and may be claimed again.
    """
    tasks: dict[str, LiveTask] = {}
    for approval in approvals:
        task = await transaction.find(approval.task_id)
        if task is None:
            raise LookupError(approval.task_id)
        tasks[approval.task_id] = task
        values = (approval.state.value, APPROVAL.encode(approval), approval.decided_by or None)
        await transaction.connection.execute(_CLOSE, approval.approval_id, *values)
        transaction.append(task, (tell_resolved(approval),))
    woken: list[str] = []
    for task in tasks.values():
        await transaction.connection.execute(_SET_WAKE_TIME, task.task_id)
        # One that waits for something else by now goes on waiting.
        open_ones = await find_open_requests(transaction.connection, task.task_id)
        if task.state is TaskState.INPUT_REQUIRED and not any(open_ones):
            transaction.change_state(task, TaskState.WORKING)
            woken += await wake_above(transaction, task)
    return woken


async def _within(connection: Connection, task: Task, approvals: Sequence[Approval]) -> Sequence[Approval]:
    """Return those of the approvals that are a task's own or of one below it."""
    if not approvals:
        return ()
    rows = await connection.fetch(_FIND_WITHIN, task.task_id, list({approval.task_id for approval in approvals}))
    within = {row["leaf"] for row in rows}
    return [approval for approval in approvals if approval.task_id in within]
