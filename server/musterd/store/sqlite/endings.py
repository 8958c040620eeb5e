"""How tasks end, whoever ends them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from musterd.domain.event import Event, Payload, SubtaskEnded, TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.orders import Steer
from musterd.domain.session import HistoryWrite
from musterd.domain.task import Output, TaskError, TaskState, Usage
from musterd.store.sqlite.approvals import expire_open_approvals, wake_above
from musterd.store.sqlite.inbox import refuse_pending
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.messages import find_turn, hand_over
from musterd.store.sqlite.questions import expire_open_questions
from musterd.store.sqlite.sessions import pass_session_on
from musterd.store.sqlite.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The last events of a task, and what another turn of the same member gets in its place.

    `frees_session` says whether another run of its session may be claimed now.
    """

    events: tuple[Event, ...]
    delivered: tuple[Steer, ...] = ()
    frees_session: bool = False


def end_task(
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
    refused = refuse_pending(transaction, task.task_id)
    expire_open_questions(transaction, task.task_id)
    expire_open_approvals(transaction, task)
    transaction.change_state(task, state, usage=usage, output=output, error=error)
    events = transaction.append(task, _with_refused(payloads, refused))
    if task.parent_task_id is None:
        return Ended(events=events, frees_session=pass_session_on(transaction, task, history))
    parent = transaction.find(task.parent_task_id)
    if parent is not None and not parent.state.is_terminal:
        transaction.append(parent, (SubtaskEnded(subtask_id=task.task_id, component=task.component, state=state),))
        if parent.owner is None:
            wake_above(transaction, task)
        turn = find_turn(transaction, parent.task_id, task.component.id) if refused else None
        if turn is not None:
            delivered = hand_over(transaction, parent.number, task.component.id, turn)
            return Ended(events=events, delivered=delivered)
    return Ended(events=events)


def _with_refused(payloads: Sequence[Payload], refused: tuple[str, ...]) -> Sequence[Payload]:
    if not refused:
        return payloads
    return tuple(
        replace(payload, unapplied_steer_ids=refused)
        if isinstance(payload, TaskCompleted | TaskFailed | TaskCanceled)
        else payload
        for payload in payloads
    )
