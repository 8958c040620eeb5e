"""What running tasks store."""

from collections.abc import Sequence
from dataclasses import replace

from musterd.domain.event import Payload, TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.ports import Lost, Stored, TaskWrite
from musterd.domain.task import TaskState, can_change
from musterd.store.sqlite.inbox import mark_applied, refuse_pending
from musterd.store.sqlite.journal import save_steps
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.transaction import Transaction


def write(transaction: Transaction, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
    """Apply fenced writes in their order."""
    return [_write_one(transaction, one) for one in writes]


def _write_one(transaction: Transaction, one: TaskWrite) -> Stored | Lost:
    task = transaction.find(one.task_id)
    if task is None or not task.is_held(one.attempt):
        return Lost()
    is_end = one.state is not None and one.state.is_terminal
    if is_end and not can_change(task.state, one.state or task.state):
        return Lost()
    if one.applied_steer_ids:
        mark_applied(transaction, task.task_id, one.applied_steer_ids)
    if one.steps:
        save_steps(transaction, task.number, one.steps)
    payloads = one.payloads
    if is_end:
        payloads = with_refused_steers(transaction, task.task_id, payloads)
    _store_columns(transaction, task, one)
    return Stored(state=task.state, events=transaction.append(task, payloads) if payloads else ())


def _store_columns(transaction: Transaction, task: LiveTask, one: TaskWrite) -> None:
    state = one.state
    if state is not None and state is not task.state and can_change(task.state, state):
        transaction.change_state(task, state, usage=one.usage, output=one.output, error=one.error)
    elif one.usage is not None or one.output is not None or one.error is not None:
        transaction.update(task, usage=one.usage, output=one.output, error=one.error)


def with_refused_steers(transaction: Transaction, task_id: str, payloads: Sequence[Payload]) -> tuple[Payload, ...]:
    """Refuse what still waits in the inbox of a task that ends, and return its last events with the ids of that."""
    refused = refuse_pending(transaction, task_id)
    if not refused:
        return tuple(payloads)
    return tuple(
        replace(payload, unapplied_steer_ids=refused)
        if isinstance(payload, TaskCompleted | TaskFailed | TaskCanceled)
        else payload
        for payload in payloads
    )


def park_for_identity(transaction: Transaction, task_id: str, attempt: int, payload: Payload) -> Stored | Lost:
    """Let a claimed task wait for its owner to renew its identity."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt) or not can_change(task.state, TaskState.AUTH_REQUIRED):
        return Lost()
    task.owner = None
    transaction.change_state(task, TaskState.AUTH_REQUIRED)
    return Stored(state=task.state, events=transaction.append(task, (payload,)))
