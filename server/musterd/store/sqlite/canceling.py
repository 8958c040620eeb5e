"""Orders to cancel."""

from collections.abc import Sequence

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import CancelRequested, TaskCanceled
from musterd.domain.orders import CancelOrder, CancelRecord, Steer
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import TaskState
from musterd.store.sqlite.approvals import count_children, unpark, wake
from musterd.store.sqlite.endings import end_task
from musterd.store.sqlite.inbox import read_cancel_order, save_cancel_order
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import find_live_descendants, read_visible
from musterd.store.sqlite.transaction import Transaction

_NOT_RUNNING = frozenset((TaskState.SUBMITTED, TaskState.AUTH_REQUIRED))


def request_cancel(
    transaction: Transaction, viewer: Viewer, task_id: str, order: CancelOrder, request: RequestKey | None
) -> CancelRecord:
    """Cancel a task and, with cascade, what is below it."""
    task = read_visible(transaction.connection, viewer, task_id)
    outcome = find_outcome(transaction.connection, request)
    delivered: tuple[Steer, ...] = ()
    if outcome is None:
        if task.state.is_terminal and task.state is not TaskState.CANCELED:
            raise MusterdError(
                reason=Reason.TASK_NOT_CANCELABLE,
                message=f"the task has ended as {task.state.value}",
                metadata={"task_id": task_id, "state": task.state.value},
            )
        outcome = Outcome(task_id=task_id, was_canceled_before=task.state is TaskState.CANCELED)
        delivered = _order_all(transaction, _targets(transaction, task_id, order), order)
        save_outcome(transaction, request, outcome)
    return CancelRecord(
        task=transaction.read_task(task_id),
        to_interrupt=tuple(
            target.task_id for target in _targets(transaction, task_id, order) if target.state is TaskState.CANCELING
        ),
        was_canceled_before=outcome.was_canceled_before,
        delivered=delivered,
    )


def _targets(transaction: Transaction, task_id: str, order: CancelOrder) -> Sequence[LiveTask]:
    below = find_live_descendants(transaction.connection, task_id) if order.cascade else ()
    found = [transaction.find(target_id) for target_id in (task_id, *below)]
    return [target for target in found if target is not None]


def _order_all(transaction: Transaction, tasks: Sequence[LiveTask], order: CancelOrder) -> tuple[Steer, ...]:
    """Cancel tasks, or order it; return what other turns of the same members get in the place of theirs."""
    delivered: tuple[Steer, ...] = ()
    left: list[LiveTask] = []
    for task in tasks:
        if task.state in _NOT_RUNNING or _is_parked_alone(transaction, task):
            left.append(task)
        elif not task.state.is_terminal:
            _order(transaction, task, order)
    # Those below first: each ends before the one that has started it.
    for task in reversed(left):
        unpark(transaction, task)
        delivered += _end(transaction, task, order)
    return delivered


def _order(transaction: Transaction, task: LiveTask, order: CancelOrder) -> None:
    if task.state is TaskState.CANCELING:
        earlier = read_cancel_order(transaction.connection, task.task_id)
        if not order.hard or (earlier is not None and earlier.hard):
            return
    else:
        transaction.change_state(task, TaskState.CANCELING)
        if task.owner is None:
            # Who claims it lets its children end first.
            wake(transaction, task)
    save_cancel_order(transaction, task.task_id, order)
    requested = CancelRequested(
        reason=order.reason, hard=order.hard, grace_seconds=order.grace_seconds, user_id=order.user_id
    )
    transaction.append(task, (requested,))


def _is_parked_alone(transaction: Transaction, task: LiveTask) -> bool:
    if task.state is not TaskState.INPUT_REQUIRED or task.owner is not None:
        return False
    live, _ = count_children(transaction.connection, task.task_id)
    return not live


def _end(transaction: Transaction, task: LiveTask, order: CancelOrder) -> tuple[Steer, ...]:
    row = transaction.read_task(task.task_id)
    canceled = TaskCanceled(reason=order.reason, usage=row.usage, output=row.output)
    return end_task(transaction, task, TaskState.CANCELED, (canceled,)).delivered
