"""Who runs a task: taking over, giving up, and going on under a new identity."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import structlog

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Payload, TaskFailed
from musterd.domain.ports import ClaimedTask, RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.queueing import Caps, Group
from musterd.domain.task import Task, TaskError, TaskState
from musterd.store.encoding import TEXTS
from musterd.store.errors import UnreadableRowError
from musterd.store.sqlite.approvals import renew, try_park, unpark
from musterd.store.sqlite.endings import end_task
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import find_live_descendants, read_visible
from musterd.store.sqlite.specs import load_spec
from musterd.store.sqlite.transaction import Transaction

logger = structlog.get_logger(__name__)

# What separates the ids of a group of two.
_SEPARATOR = "\x1f"
# The groups that are full are left out here: no row of a long queue that has to wait is brought out of SQLite.
_CLAIMABLE = """
SELECT task_id, tenant_id, user_id, root_task_id, queue_key
FROM task INDEXED BY task_claimable
WHERE owner {owners} AND end_time IS NULL AND state <> 'auth_required' AND wake_time IS NULL
  AND tenant_id NOT IN (SELECT value FROM json_each(:tenant))
  AND tenant_id || char(31) || user_id NOT IN (SELECT value FROM json_each(:user))
  AND root_task_id NOT IN (SELECT value FROM json_each(:tree))
"""
# Three ranges of the index instead of "is not this owner", which would look at every task that runs.
_FIND_CLAIMABLE = (
    " UNION ALL ".join(_CLAIMABLE.format(owners=owners) for owners in ("IS NULL", "< :owner", "> :owner"))
    + "ORDER BY queue_key, task_id LIMIT :limit"
)
_COUNT_QUEUED = "SELECT count(*) FROM task INDEXED BY task_queued WHERE state = 'submitted'"
_COUNT_RUNNING = """
SELECT count(*) FROM task INDEXED BY {index}
WHERE {group} AND owner = ? AND owner IS NOT NULL AND NOT is_waiting AND state <> 'input_required'
"""
_COUNT_RUNNING_IN = {
    "tenant": _COUNT_RUNNING.format(index="task_running_of_user", group="tenant_id = ?"),
    "user": _COUNT_RUNNING.format(index="task_running_of_user", group="tenant_id = ? AND user_id = ?"),
    "tree": _COUNT_RUNNING.format(index="task_running_of_tree", group="root_task_id = ?"),
}
_HAS_PARKED = "SELECT EXISTS (SELECT 1 FROM task INDEXED BY task_parked WHERE wake_time <= ?)"
_WAKE = "UPDATE task INDEXED BY task_parked SET wake_time = NULL WHERE wake_time <= ?"
_FIND_HELD = "SELECT task_id, attempt FROM task WHERE owner = ? AND end_time IS NULL AND state <> 'auth_required'"
_RELEASE = "UPDATE task SET owner = NULL, update_time = ? WHERE number = ?"


def find_held(connection: sqlite3.Connection, owner: str) -> Mapping[str, int]:
    """Return the attempts of the tasks that an owner holds."""
    return dict(connection.execute(_FIND_HELD, (owner,)).fetchall())


def claim(
    transaction: Transaction, owner: str, limit: int, caps: Caps, running: Mapping[Group, int]
) -> Sequence[ClaimedTask]:
    """Take over what no living owner holds: this process has the file, so all other owners are dead and run nothing."""
    transaction.connection.execute(_WAKE, (transaction.now_micros,))
    counts = Counter(running)
    full = _find_full(caps, running)
    claimed: list[ClaimedTask] = []
    # Each round takes a task or finds a group full, so that it ends.
    while found := find_claimable(transaction.connection, owner, limit - len(claimed), full):
        for task_id, tenant_id, user_id, root_task_id in found:
            groups = caps.of(tenant_id, user_id, root_task_id)
            reached = [group for group, cap in groups if counts[group] >= cap]
            full.update(reached)
            one = None if reached else _claim(transaction, task_id, owner)
            if one is not None:
                counts.update(group for group, _ in groups)
                claimed.append(one)
    return claimed


def find_claimable(
    connection: sqlite3.Connection, owner: str, limit: int, full: Collection[Group] = ()
) -> Sequence[tuple[str, str, str, str]]:
    """Return tasks that come first in the queue and are in no full group: their id, tenant, user and root."""
    if limit <= 0:
        return ()
    parameters: dict[str, object] = {"owner": owner, "limit": limit}
    for kind in ("tenant", "user", "tree"):
        names = tuple(_SEPARATOR.join(ids) for each, *ids in full if each == kind)
        parameters[kind] = TEXTS.encode(names).decode()
    return [row[:4] for row in connection.execute(_FIND_CLAIMABLE, parameters).fetchall()]


def has_claimable(connection: sqlite3.Connection, owner: str, now_micros: int) -> bool:
    """Return whether there is a task that nobody holds who lives, and that need not wait."""
    if find_claimable(connection, owner, 1):
        return True
    return bool(connection.execute(_HAS_PARKED, (now_micros,)).fetchone()[0])


def count_queued(connection: sqlite3.Connection) -> int:
    """Return how many tasks are SUBMITTED."""
    return connection.execute(_COUNT_QUEUED).fetchone()[0]


def count_running(connection: sqlite3.Connection, group: Group, owner: str | None) -> int:
    """Return how many tasks of a group this owner runs, which is the only one that lives."""
    kind, *ids = group
    return connection.execute(_COUNT_RUNNING_IN[kind], (*ids, owner)).fetchone()[0]


def _find_full(caps: Caps, running: Mapping[Group, int]) -> set[Group]:
    cap_of = {"tenant": caps.per_tenant, "user": caps.per_user, "tree": caps.per_tree}
    return {group for group, count in running.items() if (cap := cap_of[group[0]]) is not None and count >= cap}


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
    if task.attempt:
        transaction.note_waiting(task, is_waiting=False)
        unpark(transaction, task)
    task.owner = owner
    task.attempt += 1
    task.last_write = 0
    transaction.change_state(task, task.state if task.state is TaskState.CANCELING else TaskState.WORKING)
    return ClaimedTask(task=transaction.read_task(task_id), spec=spec, budget=task.tree.budget)


def _end_unreadable(transaction: Transaction, task: LiveTask) -> None:
    """End a task that nobody can run any more: left as it is, it would stop every later claim."""
    error = TaskError(
        reason=Reason.TASK_LOST, message="this version of the server cannot read the task's input", cause="UNREADABLE"
    )
    end_task(transaction, task, TaskState.FAILED, (TaskFailed(error=error, usage=task.usage),), error=error)


def release_task(transaction: Transaction, task_id: str, attempt: int, *, may_park: bool) -> None:
    """Make a task claimable, or park it when it may be and waits for approvals alone."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt) or (may_park and try_park(transaction, task)):
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
    """Let a task that waits for it go on under a new identity, with all of its tree that nobody runs."""
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
    root_task_id = task.tree.root_task_id
    waiting_ids = (root_task_id, *find_live_descendants(transaction.connection, root_task_id))
    renew(transaction, waiting_ids, identity, payload)
    save_outcome(transaction, request, Outcome(task_id=task_id))
    return transaction.read_task(task_id)
