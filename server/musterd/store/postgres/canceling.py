"""Orders to cancel."""

from collections.abc import Sequence

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import CancelRequested, TaskCanceled
from musterd.domain.orders import CancelOrder, CancelRecord, Steer
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import TaskState
from musterd.store.postgres.approvals import count_children, unpark, wake
from musterd.store.postgres.endings import end_task
from musterd.store.postgres.inbox import read_cancel_order, save_cancel_order
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.requests import Outcome, find_outcome, save_outcome
from musterd.store.postgres.rows import find_live_descendants, read_visible
from musterd.store.postgres.transaction import Transaction

_NOT_RUNNING = frozenset((TaskState.SUBMITTED, TaskState.AUTH_REQUIRED))


async def request_cancel(
    transaction: Transaction, viewer: Viewer, task_id: str, order: CancelOrder, request: RequestKey | None
) -> CancelRecord:
    """Cancel a task and, with cascade, what is below it."""
    task = await read_visible(transaction.connection, viewer, task_id)
    outcome = await find_outcome(transaction.connection, request)
    delivered: tuple[Steer, ...] = ()
    if outcome is None:
        # A claim holds no tree: only the locked row tells what the task is.
        targets = await _lock_targets(transaction, task_id, order)
        state = targets[0].state if targets else task.state
        if state.is_terminal and state is not TaskState.CANCELED:
            raise MusterdError(
                reason=Reason.TASK_NOT_CANCELABLE,
                message=f"the task has ended as {state.value}",
                metadata={"task_id": task_id, "state": state.value},
            )
        outcome = Outcome(task_id=task_id, was_canceled_before=state is TaskState.CANCELED)
        delivered = await _order_all(transaction, targets, order)
        await save_outcome(transaction, request, outcome)
    interrupted = await _lock_targets(transaction, task_id, order)
    return CancelRecord(
        task=await transaction.read_task(task_id),
        to_interrupt=tuple(target.task_id for target in interrupted if target.state is TaskState.CANCELING),
        was_canceled_before=outcome.was_canceled_before,
        delivered=delivered,
    )


async def _lock_targets(transaction: Transaction, task_id: str, order: CancelOrder) -> Sequence[LiveTask]:
    await transaction.flush()
    below = await find_live_descendants(transaction.connection, task_id) if order.cascade else ()
    target_ids = (task_id, *below)
    await transaction.find_all(target_ids)
    found = [await transaction.find(target_id) for target_id in target_ids]
    return [target for target in found if target is not None]


async def _order_all(transaction: Transaction, tasks: Sequence[LiveTask], order: CancelOrder) -> tuple[Steer, ...]:
    """Cancel tasks, or order it; return what other turns of the same members get in the place of theirs."""
    delivered: tuple[Steer, ...] = ()
    left: list[LiveTask] = []
    for task in tasks:
        if task.state in _NOT_RUNNING or await _is_parked_alone(transaction, task):
            left.append(task)
        elif not task.state.is_terminal:
            await _order(transaction, task, order)
    # Those below first: each ends before the one that has started it.
    for task in reversed(left):
        await unpark(transaction, task)
        delivered += await _end(transaction, task, order)
    return delivered


async def _order(transaction: Transaction, task: LiveTask, order: CancelOrder) -> None:
    if task.state is TaskState.CANCELING:
        earlier = await read_cancel_order(transaction.connection, task.task_id)
        if not order.hard or (earlier is not None and earlier.hard):
            return
    else:
        transaction.change_state(task, TaskState.CANCELING)
        if task.owner is None:
            # Who claims it lets its children end first.
            await wake(transaction, task)
    await save_cancel_order(transaction, task, order)
    requested = CancelRequested(
        reason=order.reason, hard=order.hard, grace_seconds=order.grace_seconds, user_id=order.user_id
    )
    transaction.append(task, (requested,))


async def _is_parked_alone(transaction: Transaction, task: LiveTask) -> bool:
    if task.state is not TaskState.INPUT_REQUIRED or task.owner is not None:
        return False
    live, _ = await count_children(transaction.connection, task.task_id)
    return not live


async def _end(transaction: Transaction, task: LiveTask, order: CancelOrder) -> tuple[Steer, ...]:
    row = await transaction.read_task(task.task_id)
    canceled = TaskCanceled(reason=order.reason, usage=row.usage, output=row.output)
    return (await end_task(transaction, task, TaskState.CANCELED, (canceled,))).delivered
