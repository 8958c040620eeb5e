"""What running tasks store."""

from collections.abc import Sequence

from musterd.domain.event import Payload
from musterd.domain.ports import Lost, Stored, TaskWrite
from musterd.domain.task import TaskState, Usage, can_change
from musterd.store.sqlite.endings import end_task
from musterd.store.sqlite.hook_runs import save_hook_runs
from musterd.store.sqlite.inbox import mark_applied
from musterd.store.sqlite.journal import save_steps
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.transaction import Transaction


def write(transaction: Transaction, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
    """Apply fenced writes in their order."""
    return [_write_one(transaction, one) for one in writes]


def _write_one(transaction: Transaction, one: TaskWrite) -> Stored | Lost:
    task = transaction.find(one.task_id)
    if task is not None and task.has_had(one.attempt, one.number):
        return Stored(state=task.state, events=(), tree_spent=_spent(task, one))
    if task is None or not task.is_held(one.attempt):
        return Lost()
    end = one.state if one.state is not None and one.state.is_terminal else None
    if end is not None and not can_change(task.state, end):
        return Lost()
    # Kept in memory until something else of the row changes: here a commit never leaves anybody in doubt.
    task.last_write = max(task.last_write, one.number)
    if one.is_waiting is not None:
        transaction.note_waiting(task, is_waiting=one.is_waiting)
    if one.applied_steer_ids:
        mark_applied(transaction, task.task_id, one.applied_steer_ids)
    if one.steps:
        save_steps(transaction, task.number, one.steps)
    if end is not None:
        ended = end_task(
            transaction,
            task,
            end,
            one.payloads,
            usage=one.usage,
            output=one.output,
            error=one.error,
            history=one.history,
        )
        save_hook_runs(transaction, task, one.hook_runs)
        return Stored(
            state=end,
            events=ended.events,
            tree_spent=_spent(task, one),
            delivered=ended.delivered,
            frees_session=ended.frees_session,
        )
    _store_columns(transaction, task, one)
    events = transaction.append(task, one.payloads) if one.payloads else ()
    return Stored(state=task.state, events=events, tree_spent=_spent(task, one))


def _spent(task: LiveTask, one: TaskWrite) -> Usage | None:
    return task.tree.spent if one.usage is not None else None


def _store_columns(transaction: Transaction, task: LiveTask, one: TaskWrite) -> None:
    state = one.state
    if state is not None and state is not task.state and can_change(task.state, state):
        transaction.change_state(task, state, usage=one.usage, output=one.output, error=one.error)
    elif one.usage is not None or one.output is not None or one.error is not None:
        transaction.update(task, usage=one.usage, output=one.output, error=one.error)


def park_for_identity(transaction: Transaction, task_id: str, attempt: int, payload: Payload) -> Stored | Lost:
    """Let a claimed task wait for its owner to renew its identity."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt) or not can_change(task.state, TaskState.AUTH_REQUIRED):
        return Lost()
    task.owner = None
    transaction.change_state(task, TaskState.AUTH_REQUIRED)
    return Stored(state=task.state, events=transaction.append(task, (payload,)))
