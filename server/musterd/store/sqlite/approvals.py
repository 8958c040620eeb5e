"""What tasks may only do once somebody outside has agreed, or has done it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from musterd.domain.approval_store import NewApproval, Renewal, Resolution, Resolved
from musterd.domain.event import AuthRenewed
from musterd.domain.ports import Lost, RequestKey, Stored
from musterd.domain.principal import Viewer
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
_PARK = """
UPDATE task
SET owner = NULL, update_time = ?1, park_time = ?1,
    wake_time = (SELECT min(expire_time) FROM approval WHERE approval.task_id = ?2 AND approval.state = 'open')
WHERE task_id = ?2
"""
_SET_WAKE_TIME = """
UPDATE task
SET wake_time = (SELECT min(expire_time) FROM approval WHERE approval.task_id = ?1 AND approval.state = 'open')
WHERE task_id = ?1 AND wake_time IS NOT NULL
"""
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
    _close(transaction, decided)
    save_outcome(transaction, request, Outcome(task_id=task_id))
    decided_task_ids = tuple(dict.fromkeys(approval.task_id for approval in decided))
    if renewal is not None:
        _renew(transaction, decided_task_ids, renewal)
    return Resolved(task=transaction.read_task(task_id), decided_task_ids=decided_task_ids)


def _renew(transaction: Transaction, task_ids: Sequence[str], renewal: Renewal) -> None:
    """Let tasks that nobody runs, and whose identity is too old, go on under a new one; also those that wait for it."""
    for task_id in task_ids:
        task = transaction.find(task_id)
        if task is None or task.owner is not None or task.state.is_terminal:
            continue
        is_old = replace_identity(transaction.connection, task.number, renewal.identity, before=renewal.before)
        if is_old and task.state is TaskState.AUTH_REQUIRED:
            transaction.append(task, (AuthRenewed(user_id=renewal.identity.user_id),))
            transaction.change_state(task, TaskState.SUBMITTED)


def park(transaction: Transaction, task_id: str, attempt: int) -> Stored | Lost:
    """Give up a task that waits for approvals alone."""
    task = transaction.find(task_id)
    if task is None or not task.is_held(attempt):
        return Lost()
    # One that waits for an answer as well has to be there to hear it.
    is_left = not try_park(transaction, task) and task.state is TaskState.INPUT_REQUIRED
    return Stored(state=TaskState.WORKING if is_left else task.state, events=())


def try_park(transaction: Transaction, task: LiveTask) -> bool:
    """Give up a task if it waits for approvals alone, and return whether it does."""
    connection = transaction.connection
    if task.state is not TaskState.INPUT_REQUIRED or not read_open_of_task(connection, task.task_id):
        return False
    if connection.execute(_HAS_OPEN_QUESTION, (task.task_id,)).fetchone()[0]:
        return False
    task.owner = None
    connection.execute(_PARK, (transaction.now_micros, task.task_id))
    return True


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


def _close(transaction: Transaction, approvals: Sequence[Approval]) -> None:
    """Store what became of open approvals; a task that waits for nobody any more works again."""
    tasks: dict[str, LiveTask] = {}
    for approval in approvals:
        task = transaction.find(approval.task_id)
        if task is None:
            raise LookupError(approval.task_id)
        tasks[approval.task_id] = task
        values = (approval.state.value, APPROVAL.encode(approval), approval.decided_by or None, approval.approval_id)
        transaction.connection.execute(_CLOSE, values)
        transaction.append(task, (tell_resolved(approval),))
    for task in tasks.values():
        # One that waits for something else by now goes on waiting.
        if task.state is TaskState.INPUT_REQUIRED and not waits_for_somebody(transaction.connection, task.task_id):
            transaction.change_state(task, TaskState.WORKING)
        transaction.connection.execute(_SET_WAKE_TIME, (task.task_id,))


def _within(connection: sqlite3.Connection, task: Task, approvals: Sequence[Approval]) -> Sequence[Approval]:
    """Return those of the approvals that are a task's own or of one below it."""
    leaves = TEXTS.encode(tuple({approval.task_id for approval in approvals})).decode()
    within = {leaf for (leaf,) in connection.execute(_FIND_WITHIN, (task.task_id, leaves)).fetchall()}
    return [approval for approval in approvals if approval.task_id in within]
