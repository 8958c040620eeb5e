"""Who runs a task: taking over, giving up, and going on under a new identity."""

from collections.abc import Sequence

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload
from musterd.domain.ports import ClaimedTask, RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import Task, TaskState
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import read_visible
from musterd.store.sqlite.specs import load_spec, replace_identity
from musterd.store.sqlite.transaction import Transaction

# Three ranges of the index instead of "is not this owner", which would look at every task that runs.
FIND_CLAIMABLE = """
SELECT task_id FROM (
    SELECT task_id, create_time FROM task
    WHERE owner IS NULL AND end_time IS NULL AND state <> 'auth_required'
    UNION ALL
    SELECT task_id, create_time FROM task WHERE owner < ?1 AND end_time IS NULL AND state <> 'auth_required'
    UNION ALL
    SELECT task_id, create_time FROM task WHERE owner > ?1 AND end_time IS NULL AND state <> 'auth_required'
)
ORDER BY create_time, task_id
LIMIT ?2
"""
_RELEASE = "UPDATE task SET owner = NULL, update_time = ? WHERE number = ?"


def claim_abandoned(transaction: Transaction, owner: str, limit: int) -> Sequence[ClaimedTask]:
    """Take over what no living owner holds: this process has the file, so every other owner is dead."""
    found = transaction.connection.execute(FIND_CLAIMABLE, (owner, limit)).fetchall()
    return [_claim(transaction, task_id, owner) for (task_id,) in found]


def _claim(transaction: Transaction, task_id: str, owner: str) -> ClaimedTask:
    task = transaction.find(task_id)
    if task is None:
        raise LookupError(task_id)
    task.owner = owner
    task.attempt += 1
    transaction.change_state(task, task.state if task.state is TaskState.CANCELING else TaskState.WORKING)
    return ClaimedTask(task=transaction.read_task(task_id), spec=load_spec(transaction.connection, task.number))


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
