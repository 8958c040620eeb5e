"""What tasks may only do once somebody outside has agreed, or has done it."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from musterd.domain.approval_store import NewApproval, Renewal, Resolution, Resolved
from musterd.domain.event import AuthRenewed, Payload
from musterd.domain.ports import Lost, RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.resolving import decide_all, make_approval, named_ids, tell_requested, tell_resolved
from musterd.domain.task import Approval, ApprovalState, Task, TaskState, can_change
from musterd.store.encoding import APPROVAL, TEXTS, to_micros
from musterd.store.sqlite.approval_rows import (
    find_approvals,
    read_open_in_trees,
    read_open_of_task,
    to_approval,
    waits_for_somebody,
)
from musterd.store.sqlite.live import LiveTask
from musterd.store.sqlite.requests import Outcome, find_outcome, save_outcome
from musterd.store.sqlite.rows import read_shown
from musterd.store.sqlite.specs import replace_identity
from musterd.store.sqlite.transaction import Transaction

_INSERT = """
INSERT INTO approval (approval_id, task_id, root_task_id, tenant_id, root_create_time, state, body, expire_time)
SELECT ?, ?, task_id, tenant_id, create_time, 'open', ?, ? FROM task WHERE task_id = ?
"""
_CLOSE = "UPDATE approval SET state = ?, body = ?, decided_by = ? WHERE approval_id = ?"
_EXPIRE_ALL = """
UPDATE approval SET state = 'expired' WHERE task_id = ? AND state = 'open' RETURNING position, body, state
"""
_HAS_OPEN_QUESTION = "SELECT EXISTS (SELECT 1 FROM question WHERE task_id = ? AND state = 'open')"
_COUNT_CHILDREN = """
SELECT count(*), count(wake_time) FROM task INDEXED BY task_by_parent WHERE parent_task_id = ? AND end_time IS NULL
"""
_IS_ANY_OVER = """
SELECT EXISTS (SELECT 1 FROM task WHERE task_id IN (SELECT value FROM json_each(?1)) AND end_time IS NOT NULL)
    OR EXISTS (SELECT 1 FROM approval WHERE approval_id IN (SELECT value FROM json_each(?1)) AND state <> 'open')
"""
# When the first of its approvals is over, or a task below may be claimed for that reason.
_WAKE_TIME = """
SELECT min(wake_time) FROM (
    SELECT expire_time AS wake_time FROM approval WHERE approval.task_id = ?1 AND approval.state = 'open'
    UNION ALL
    SELECT child.wake_time FROM task AS child INDEXED BY task_by_parent
    WHERE child.parent_task_id = ?1 AND child.end_time IS NULL
)
"""
_PARK = f"""
UPDATE task SET owner = NULL, update_time = ?2, park_time = ?2, wake_time = ({_WAKE_TIME}) WHERE task_id = ?1
"""  # noqa: S608 - it is made of constants
_SET_WAKE_TIME = f"""
UPDATE task
SET wake_time = CASE
    WHEN EXISTS (SELECT 1 FROM approval WHERE approval.task_id = ?1 AND approval.state = 'open') THEN ({_WAKE_TIME})
END
WHERE task_id = ?1 AND wake_time IS NOT NULL
"""  # noqa: S608 - it is made of constants
_WAKE_ABOVE = """
WITH RECURSIVE above (task_id) AS (
    SELECT parent_task_id FROM task WHERE task_id = ?
    UNION ALL
    SELECT task.parent_task_id FROM above JOIN task ON task.task_id = above.task_id
)
UPDATE task SET wake_time = NULL
WHERE task_id IN (SELECT task_id FROM above) AND park_time IS NOT NULL AND wake_time IS NOT NULL
RETURNING task_id
"""
_WAKE = "UPDATE task SET wake_time = NULL WHERE number = ?"
_UNPARK = """
UPDATE task
SET parked_micros = parked_micros + ? - park_time, parked_count = parked_count + 1, park_time = NULL, wake_time = NULL
WHERE number = ? AND park_time IS NOT NULL
"""
# Those of ?2 that are ?1 or below it.
_FIND_WITHIN = """
WITH RECURSIVE above (leaf, task_id) AS (
    SELECT value, value FROM json_each(?2)
    UNION ALL
    SELECT above.leaf, task.parent_task_id FROM above JOIN task ON task.task_id = above.task_id
    WHERE task.parent_task_id IS NOT NULL
)
SELECT leaf FROM above WHERE task_id = ?1
"""


def request_approvals(
    transaction: Transaction, task_id: str, attempt: int, *, new: Sequence[NewApproval], seconds: float
) -> Sequence[Approval] | Lost:
    """Store approvals, those that are not there, and let the task wait while one is open."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    ids = [one.approval_id for one in new]
    known = dict(find_approvals(transaction.connection, ids))
    for one in new:
        if one.approval_id not in known:
            approval = make_approval(one, task_id, now=transaction.now, seconds=seconds)
            known[one.approval_id] = approval
            _insert(transaction, task, approval)
            transaction.append(task, (tell_requested(approval),))
    asked = [known[approval_id] for approval_id in ids]
    # A task that was taken over works until it asks again.
    is_open = any(approval.state is ApprovalState.OPEN for approval in asked)
    if is_open and task.state is not TaskState.INPUT_REQUIRED and can_change(task.state, TaskState.INPUT_REQUIRED):
        transaction.change_state(task, TaskState.INPUT_REQUIRED)
    return asked


def expire_approvals(transaction: Transaction, task_id: str, attempt: int) -> Sequence[Approval] | Lost:
    """Close the approvals of a task that nobody decided in time."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    expired = [
        replace(approval, state=ApprovalState.EXPIRED)
        for approval in read_open_of_task(transaction.connection, task_id)
        if approval.expire_time <= transaction.now
    ]
    _close(transaction, expired)
    return expired


def resolve(
    transaction: Transaction,
    viewer: Viewer,
    task_id: str,
    resolutions: Sequence[Resolution],
    *,
    user_id: str,
    renewal: Renewal | None = None,
    request: RequestKey | None,
) -> Resolved:
    """Decide about approvals of a task and of what is below it, unless the request was made before."""
    connection = transaction.connection
    seen = read_shown(connection, viewer, task_id)
    if find_outcome(connection, request) is not None:
        return Resolved(task=transaction.read_task(task_id), decided_task_ids=())
    found = _within(connection, seen, list(find_approvals(connection, named_ids(resolutions)).values()))
    in_tree: Sequence[Approval] = ()
    if not all(resolution.approval_id for resolution in resolutions):
        in_tree = read_open_in_trees(connection, (seen.root_task_id,)).get(seen.root_task_id, ())
    decided = decide_all(
        seen,
        resolutions,
        {approval.approval_id: approval for approval in found},
        _within(connection, seen, in_tree),
        user_id=user_id,
        now=transaction.now,
    )
    woken_task_ids = _close(transaction, decided)
    save_outcome(transaction, request, Outcome(task_id=task_id))
    decided_task_ids = tuple(dict.fromkeys(approval.task_id for approval in decided))
    if renewal is not None:
        identity, going_on = renewal.identity, (*decided_task_ids, *woken_task_ids)
        payload = AuthRenewed(user_id=identity.user_id)
        renew(transaction, going_on, identity, payload, before=renewal.before)
    return Resolved(task=transaction.read_task(task_id), decided_task_ids=decided_task_ids)


def renew(
    transaction: Transaction,
    task_ids: Sequence[str],
    identity: Identity,
    payload: Payload,
    *,
    before: datetime | None = None,
) -> None:
    """Let tasks that nobody runs go on under a new identity, where theirs is older than `before`.

    Those that wait for it may be claimed again, and `payload` tells of it.
    """
    for task_id in task_ids:
        task = transaction.find(task_id)
        if task is None or task.owner is not None or task.state.is_terminal:
            continue
        is_old = replace_identity(transaction.connection, task.number, identity, before=before)
        if is_old and task.state is TaskState.AUTH_REQUIRED:
            transaction.append(task, (payload,))
            transaction.change_state(task, TaskState.SUBMITTED)


def park(
    transaction: Transaction, task_id: str, attempt: int, *, awaited: Collection[str], number: int | None
) -> bool | Lost:
    """Give up a task that waits for approvals alone, its own or those of the tasks below it."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    ids = TEXTS.encode(tuple(awaited)).decode()
    if number not in (None, task.last_write) or transaction.connection.execute(_IS_ANY_OVER, (ids,)).fetchone()[0]:
        return False
    live, parked = count_children(transaction.connection, task_id)
    if parked < live:
        return False
    if task.state is TaskState.WORKING and parked:
        _park(transaction, task)
        return True
    return try_park(transaction, task)


def try_park(transaction: Transaction, task: LiveTask) -> bool:
    """Give up a task if it waits for approvals of its own alone, and return whether it does."""
    connection = transaction.connection
    if task.state is not TaskState.INPUT_REQUIRED or not read_open_of_task(connection, task.task_id):
        return False
    # One that waits for an answer as well has to be there to hear it.
    if connection.execute(_HAS_OPEN_QUESTION, (task.task_id,)).fetchone()[0]:
        return False
    _park(transaction, task)
    return True


def _park(transaction: Transaction, task: LiveTask) -> None:
    task.owner = None
    transaction.connection.execute(_PARK, (task.task_id, transaction.now_micros))


def wake_above(transaction: Transaction, task: LiveTask) -> Sequence[str]:
    """Let the tasks above one be claimed that are parked, and return their ids."""
    return [task_id for (task_id,) in transaction.connection.execute(_WAKE_ABOVE, (task.task_id,)).fetchall()]


def count_children(connection: sqlite3.Connection, task_id: str) -> tuple[int, int]:
    """Return how many children of a task have not ended, and how many of these are parked."""
    return connection.execute(_COUNT_CHILDREN, (task_id,)).fetchone()


def wake(transaction: Transaction, task: LiveTask) -> None:
    """Let a task be claimed now, if it is parked."""
    transaction.connection.execute(_WAKE, (task.number,))


def unpark(transaction: Transaction, task: LiveTask) -> None:
    """Note how long a task was parked, and that it was, if so."""
    transaction.connection.execute(_UNPARK, (transaction.now_micros, task.number))


def expire_open_approvals(transaction: Transaction, task: LiveTask) -> None:
    """Close all approvals of a task that ends."""
    rows = transaction.connection.execute(_EXPIRE_ALL, (task.task_id,)).fetchall()
    for _, body, state in sorted(rows):
        transaction.append(task, (tell_resolved(to_approval(body, state)),))


def _insert(transaction: Transaction, task: LiveTask, approval: Approval) -> None:
    values = (approval.approval_id, approval.task_id, APPROVAL.encode(approval), to_micros(approval.expire_time))
    transaction.connection.execute(_INSERT, (*values, task.tree.root_task_id))


def _close(transaction: Transaction, approvals: Sequence[Approval]) -> Sequence[str]:
    """Store what became of open approvals; a task that waits for nobody any more works again.

    Returns the ids of the tasks above that were parked for its sake, and may be claimed again.
    """
    tasks: dict[str, LiveTask] = {}
    for approval in approvals:
        task = transaction.find(approval.task_id)
        if task is None:
            raise LookupError(approval.task_id)
        tasks[approval.task_id] = task
        values = (approval.state.value, APPROVAL.encode(approval), approval.decided_by or None, approval.approval_id)
        transaction.connection.execute(_CLOSE, values)
        transaction.append(task, (tell_resolved(approval),))
    woken: list[str] = []
    for task in tasks.values():
        transaction.connection.execute(_SET_WAKE_TIME, (task.task_id,))
        # One that waits for something else by now goes on waiting.
        if task.state is TaskState.INPUT_REQUIRED and not waits_for_somebody(transaction.connection, task.task_id):
            transaction.change_state(task, TaskState.WORKING)
            woken += wake_above(transaction, task)
    return woken


def _within(connection: sqlite3.Connection, task: Task, approvals: Sequence[Approval]) -> Sequence[Approval]:
    """Return those of the approvals that are a task's own or of one below it."""
    leaves = TEXTS.encode(tuple({approval.task_id for approval in approvals})).decode()
    within = {leaf for (leaf,) in connection.execute(_FIND_WITHIN, (task.task_id, leaves)).fetchall()}
    return [approval for approval in approvals if approval.task_id in within]
