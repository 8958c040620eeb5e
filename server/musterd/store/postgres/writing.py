"""What running tasks store."""

from collections.abc import Sequence

from musterd.domain.event import Payload
from musterd.domain.ports import Lost, Stored, TaskWrite
from musterd.domain.step import StepRecord
from musterd.domain.task import TaskState, Usage, can_change
from musterd.store.postgres.endings import end_task
from musterd.store.postgres.hook_runs import save_hook_runs
from musterd.store.postgres.inbox import mark_applied
from musterd.store.postgres.journal import save_steps
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.transaction import Transaction


async def write(transaction: Transaction, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
    """Apply fenced writes in their order."""
    await transaction.find_all([one.task_id for one in writes])
    steps: list[tuple[LiveTask, StepRecord]] = []
    results = [await _write_one(transaction, one, steps) for one in writes]
    await save_steps(transaction.connection, steps)
    return results


async def _write_one(
    transaction: Transaction, one: TaskWrite, steps: list[tuple[LiveTask, StepRecord]]
) -> Stored | Lost:
    task = await transaction.find(one.task_id)
    if task is None:
        return Lost()
    if task.has_had(one.attempt, one.number):
        return Stored(state=task.state, events=(), tree_spent=_spent(task, one))
    end = one.state if one.state is not None and one.state.is_terminal else None
    if not task.is_held(one.attempt) or (end is not None and not can_change(task.state, end)):
        return Lost()
    transaction.count_write(task, one.number)
    if one.is_waiting is not None:
        transaction.note_waiting(task, is_waiting=one.is_waiting)
    if one.applied_steer_ids:
        await mark_applied(transaction, task.task_id, one.applied_steer_ids)
    steps += [(task, step) for step in one.steps]
    if end is not None:
        ended = await end_task(
            transaction,
            task,
            end,
            one.payloads,
            usage=one.usage,
            output=one.output,
            error=one.error,
            history=one.history,
        )
        await save_hook_runs(transaction, task, one.hook_runs)
        return Stored(
            state=end,
            events=ended.events,
            tree_spent=_spent(task, one),
            delivered=ended.delivered,
            frees_session=ended.frees_session,
        )
    _store_columns(transaction, task, one)
    events = transaction.append(task, one.payloads)
    return Stored(state=task.state, events=events, tree_spent=_spent(task, one))


def _spent(task: LiveTask, one: TaskWrite) -> Usage | None:
    return task.tree.spent if one.usage is not None else None


def _store_columns(transaction: Transaction, task: LiveTask, one: TaskWrite) -> None:
    state = one.state
    if state is not None and state is not task.state and can_change(task.state, state):
        transaction.change_state(task, state, usage=one.usage, output=one.output, error=one.error)
    elif one.usage is not None or one.output is not None or one.error is not None:
        transaction.update(task, usage=one.usage, output=one.output, error=one.error)


async def park_for_identity(transaction: Transaction, task_id: str, attempt: int, payload: Payload) -> Stored | Lost:
    """Let a claimed task wait for its owner to renew its identity."""
    task = await transaction.find(task_id)
    if task is None or not task.is_held(attempt) or not can_change(task.state, TaskState.AUTH_REQUIRED):
        return Lost()
    task.owner = None
    transaction.change_state(task, TaskState.AUTH_REQUIRED)
    return Stored(state=task.state, events=transaction.append(task, (payload,)))
