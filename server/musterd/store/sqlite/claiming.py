"""Who runs a task: taking over, giving up, and going on under a new identity."""

from collections.abc import Sequence

import structlog

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload, TaskFailed
from musterd.domain.ports import ClaimedTask, RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import Task, TaskError, TaskState
from musterd.store.errors import UnreadableRowError
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import read_visible
from musterd.store.sqlite.specs import load_spec, replace_identity
from musterd.store.sqlite.transaction import Transaction
from musterd.store.sqlite.writing import with_refused_steers

logger = structlog.get_logger(__name__)

# Three ranges of the index instead of "is not this owner", which would look at every task that runs.
FIND_CLAIMABLE = """
SELECT task_id FROM (
    SELECT task_id, create_time FROM task
    WHERE owner IS NULL AND end_time IS NULL AND state <> 'auth_required'
    UNION ALL
    SELECT task_id, create_time FROM task WHERE owner < ? AND end_time IS NULL AND state <> 'auth_required'
    UNION ALL
    SELECT task_id, create_time FROM task WHERE owner > ? AND end_time IS NULL AND state <> 'auth_required'
)
ORDER BY create_time, task_id
LIMIT ?
"""
_RELEASE = "UPDATE task SET owner = NULL, update_time = ? WHERE number = ?"


def claim_abandoned(transaction: Transaction, owner: str, limit: int) -> Sequence[ClaimedTask]:
    """Take over what no living owner holds: this process has the file, so every other owner is dead."""
    found = transaction.connection.execute(FIND_CLAIMABLE, (owner, owner, limit)).fetchall()
    claimed = [_claim(transaction, task_id, owner) for (task_id,) in found]
    return [one for one in claimed if one is not None]


def _claim(transaction: Transaction, task_id: str, owner: str) -> ClaimedTask | None:
    task = transaction.find(task_id)
    if task is None:
        raise LookupError(task_id)
    try:
        spec = load_spec(transaction.connection, task.number)
    except (UnreadableRowError, ValueError) as error:
        logger.error("spec_unreadable", task=task_id, error=str(error))  # noqa: TRY400 - the text says it all
        _end_unreadable(transaction, task)
        return None
    task.owner = owner
    task.attempt += 1
    transaction.change_state(task, task.state if task.state is TaskState.CANCELING else TaskState.WORKING)
    return ClaimedTask(task=transaction.read_task(task_id), spec=spec)


def _end_unreadable(transaction: Transaction, task: LiveTask) -> None:
    """End a task that nobody can run any more: left as it is, it would stop every later claim."""
    error = TaskError(
        reason=Reason.TASK_LOST, message="this version of the server cannot read the task's input", cause="UNREADABLE"
    )
    usage = transaction.read_task(task.task_id).usage
    payloads = with_refused_steers(transaction, task.task_id, (TaskFailed(error=error, usage=usage),))
    transaction.change_state(task, TaskState.FAILED, error=error)
    transaction.append(task, payloads)


def release_task(transaction: Transaction, task_id: str, attempt: int) -> None:
    """Make a task claimable."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return
    task.owner = None
    transaction.connection.execute(_RELEASE, (transaction.now_micros, task.number))


def renew_identity(
    transaction: Transaction,
    viewer: Viewer,
    task_id: str,
    *,
    identity: Identity,
    payload: Payload,
    request: RequestKey | None,
) -> Task:
    """Let a task that waits for it go on under a new identity."""
    seen = read_visible(transaction.connection, viewer, task_id)
    if find_outcome(transaction.connection, request) is not None:
        return transaction.read_task(task_id)
    task = transaction.find(task_id)
    if task is None or task.state is not TaskState.AUTH_REQUIRED:
        raise MusterdError(
            reason=Reason.TASK_NOT_WAITING,
            message=f"the task is {seen.state.value} and waits for no new identity",
            metadata={"task_id": task_id, "state": seen.state.value},
        )
    replace_identity(transaction.connection, task.number, identity)
    transaction.change_state(task, TaskState.SUBMITTED)
    save_outcome(transaction, request, Outcome(task_id=task_id))
    transaction.append(task, (payload,))
    return transaction.read_task(task_id)
