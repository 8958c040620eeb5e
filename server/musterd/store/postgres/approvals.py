"""What tasks may only do once somebody outside has agreed, or has done it."""

from collections.abc import Sequence
from dataclasses import replace

from musterd.domain.approval_store import NewApproval, Renewal, Resolution, Resolved
from musterd.domain.event import AuthRenewed
from musterd.domain.ports import Lost, RequestKey, Stored
from musterd.domain.principal import Viewer
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
_PARK = load_statement("park_task")
_SET_WAKE_TIME = load_statement("set_wake_time")
_UNPARK = load_statement("unpark_task")


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
    await _close(transaction, decided)
    await save_outcome(transaction, request, Outcome(task_id=task_id))
    decided_task_ids = tuple(dict.fromkeys(approval.task_id for approval in decided))
    if renewal is not None:
        await _renew(transaction, decided_task_ids, renewal)
    return Resolved(task=await transaction.read_task(task_id), decided_task_ids=decided_task_ids)


async def _renew(transaction: Transaction, task_ids: Sequence[str], renewal: Renewal) -> None:
    """Let tasks that nobody runs, and whose identity is too old, go on under a new one; also those that wait for it."""
    for task_id in task_ids:
        task = await transaction.find(task_id)
        if task is None or task.owner is not None or task.state.is_terminal:
            continue
        is_old = await replace_identity(transaction.connection, task.number, renewal.identity, before=renewal.before)
        if is_old and task.state is TaskState.AUTH_REQUIRED:
            transaction.append(task, (AuthRenewed(user_id=renewal.identity.user_id),))
            transaction.change_state(task, TaskState.SUBMITTED)


async def park(transaction: Transaction, task_id: str, attempt: int) -> Stored | Lost:
    """Give up a task that waits for approvals alone."""
    task = await transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    # One that waits for an answer as well has to be there to hear it.
    is_left = not await try_park(transaction, task) and task.state is TaskState.INPUT_REQUIRED
    return Stored(state=TaskState.WORKING if is_left else task.state, events=())


async def try_park(transaction: Transaction, task: LiveTask) -> bool:
    """Give up a task if it waits for approvals alone, and return whether it does."""
    connection = transaction.connection
    if task.state is not TaskState.INPUT_REQUIRED or await find_open_requests(connection, task.task_id) != (
        False,
        True,
    ):
        return False
    transaction.release(task)
    await connection.execute(_PARK, task.task_id, transaction.now_micros)
    return True


async def unpark(transaction: Transaction, task: LiveTask) -> None:
    """Note how long a task was parked, and that it was, if so."""
    await transaction.connection.execute(_UNPARK, task.task_id, transaction.now_micros)


async def _insert(transaction: Transaction, task: LiveTask, approval: Approval) -> None:
    values = (approval.approval_id, approval.task_id, APPROVAL.encode(approval), to_micros(approval.expire_time))
    await transaction.connection.execute(_INSERT, task.tree.root_task_id, *values)


async def _close(transaction: Transaction, approvals: Sequence[Approval]) -> None:
    """Store what became of open approvals; a task that waits for nobody any more works again."""
    tasks: dict[str, LiveTask] = {}
    for approval in approvals:
        task = await transaction.find(approval.task_id)
        if task is None:
            raise LookupError(approval.task_id)
        tasks[approval.task_id] = task
        values = (approval.state.value, APPROVAL.encode(approval), approval.decided_by or None)
        await transaction.connection.execute(_CLOSE, approval.approval_id, *values)
        transaction.append(task, (tell_resolved(approval),))
    for task in tasks.values():
        # One that waits for something else by now goes on waiting.
        open_ones = await find_open_requests(transaction.connection, task.task_id)
        if task.state is TaskState.INPUT_REQUIRED and not any(open_ones):
            transaction.change_state(task, TaskState.WORKING)
        await transaction.connection.execute(_SET_WAKE_TIME, task.task_id)


async def _within(connection: Connection, task: Task, approvals: Sequence[Approval]) -> Sequence[Approval]:
    """Return those of the approvals that are a task's own or of one below it."""
    if not approvals:
        return ()
    rows = await connection.fetch(_FIND_WITHIN, task.task_id, list({approval.task_id for approval in approvals}))
    within = {row["leaf"] for row in rows}
    return [approval for approval in approvals if approval.task_id in within]
