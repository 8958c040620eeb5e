"""How tasks end, whoever ends them."""

from collections.abc import Sequence
from dataclasses import replace

from musterd.domain.event import Event, Payload, SubtaskEnded, TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.task import Output, TaskError, TaskState, Usage
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.messages import find_turn, hand_over
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

_CLOSE = load_statement("close_task")


async def end_task(
    transaction: Transaction,
    task: LiveTask,
    state: TaskState,
    payloads: Sequence[Payload],
    *,
    usage: Usage | None = None,
    output: Output | None = None,
    error: TaskError | None = None,
) -> tuple[Event, ...]:
    """Store a terminal state with the last events, which are returned; nothing waits for the task any more.

    The parent is told, unless it has ended. What a member of a team has not read goes to its next task.
    """
    refused = await _close(transaction, task.task_id)
    transaction.change_state(task, state, usage=usage, output=output, error=error)
    events = transaction.append(task, _with_refused(payloads, refused))
    parent = await transaction.find(task.parent_task_id) if task.parent_task_id is not None else None
    if parent is not None and not parent.state.is_terminal:
        transaction.append(parent, (SubtaskEnded(subtask_id=task.task_id, component=task.component, state=state),))
        turn = await find_turn(transaction, parent.task_id, task.component.id) if refused else None
        if turn is not None:
            await hand_over(transaction, parent.number, task.component.id, turn)
    return events


async def _close(transaction: Transaction, task_id: str) -> tuple[str, ...]:
    """Refuse the messages that still wait and close the open questions; return the ids of the messages."""
    refused = await transaction.connection.fetch(_CLOSE, task_id)
    return tuple(row["entry_id"] for row in sorted(refused, key=lambda row: row["position"]))


def _with_refused(payloads: Sequence[Payload], refused: tuple[str, ...]) -> Sequence[Payload]:
    if not refused:
        return payloads
    return tuple(
        replace(payload, unapplied_steer_ids=refused)
        if isinstance(payload, TaskCompleted | TaskFailed | TaskCanceled)
        else payload
        for payload in payloads
    )
