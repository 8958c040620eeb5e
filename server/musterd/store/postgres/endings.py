"""How tasks end, whoever ends them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from musterd.domain.event import Event, Payload, SubtaskEnded, TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.orders import Steer
from musterd.domain.resolving import tell_resolved
from musterd.domain.session import HistoryWrite
from musterd.domain.task import Output, TaskError, TaskState, Usage
from musterd.store.postgres.approval_rows import to_approval
from musterd.store.postgres.approvals import wake_above
from musterd.store.postgres.live import LiveTask
from musterd.store.postgres.messages import find_turn, hand_over
from musterd.store.postgres.sessions import pass_session_on
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction

_CLOSE = load_statement("close_task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The last events of a task, and what another turn of the same member gets in its place.

    `frees_session` says whether another run of its session may be claimed now.
    """

    events: tuple[Event, ...]
    delivered: tuple[Steer, ...] = ()
    frees_session: bool = False


async def end_task(
    transaction: Transaction,
    task: LiveTask,
    state: TaskState,
    payloads: Sequence[Payload],
    *,
    usage: Usage | None = None,
    output: Output | None = None,
    error: TaskError | None = None,
    history: HistoryWrite | None = None,
) -> Ended:
    """Store a terminal state with the last events; nothing waits for the task any more.

    The parent is told, unless it has ended. What a member of a team has not read goes to its next task, and a session
    to its next run.
    """
    refused, session = await _close(transaction, task)
    transaction.change_state(task, state, usage=usage, output=output, error=error)
    events = transaction.append(task, _with_refused(payloads, refused))
    if session is not None:
        is_free = await pass_session_on(transaction, task, session, history)
        return Ended(events=events, frees_session=is_free)
    parent = await transaction.find(task.parent_task_id) if task.parent_task_id is not None else None
    if parent is not None and not parent.state.is_terminal:
        transaction.append(parent, (SubtaskEnded(subtask_id=task.task_id, component=task.component, state=state),))
        if parent.owner is None:
            await wake_above(transaction, task)
        turn = await find_turn(transaction, parent.task_id, task.component.id) if refused else None
        if turn is not None:
            delivered = await hand_over(transaction, parent.number, task.component.id, turn)
            return Ended(events=events, delivered=delivered)
    return Ended(events=events)


async def _close(transaction: Transaction, task: LiveTask) -> tuple[tuple[str, ...], int | None]:
    """Refuse the messages that wait, close open questions and approvals, and release the session.

    Returns the ids of the messages, and the number of the session that the task had.
    """
    closed = await transaction.connection.fetch(_CLOSE, task.task_id)
    in_order = sorted(closed, key=lambda row: row["position"])
    transaction.append(task, [tell_resolved(to_approval(row)) for row in in_order if row["body"] is not None])
    session = next((row["session"] for row in closed if row["session"] is not None), None)
    return tuple(row["entry_id"] for row in in_order if row["entry_id"] is not None), session


def _with_refused(payloads: Sequence[Payload], refused: tuple[str, ...]) -> Sequence[Payload]:
    if not refused:
        return payloads
    return tuple(
        replace(payload, unapplied_steer_ids=refused)
        if isinstance(payload, TaskCompleted | TaskFailed | TaskCanceled)
        else payload
        for payload in payloads
    )
