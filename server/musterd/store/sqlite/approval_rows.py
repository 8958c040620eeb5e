"""Rows of the approval table and the approvals that they stand for."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from musterd.domain.task import Approval, ApprovalState
from musterd.store.encoding import APPROVAL, TEXTS

_READ = "SELECT body, state FROM approval WHERE approval_id IN (SELECT value FROM json_each(?))"
_READ_OPEN_OF_TASK = "SELECT body, state FROM approval WHERE task_id = ? AND state = 'open' ORDER BY position"
_READ_OPEN_IN_TREES = """
SELECT root_task_id, body, state FROM approval
WHERE root_task_id IN (SELECT value FROM json_each(?)) AND state = 'open'
ORDER BY position
"""
_WAITS = """
SELECT EXISTS (SELECT 1 FROM question WHERE task_id = ?1 AND state = 'open')
    OR EXISTS (SELECT 1 FROM approval WHERE task_id = ?1 AND state = 'open')
"""


def find_approvals(connection: sqlite3.Connection, approval_ids: Sequence[str]) -> Mapping[str, Approval]:
    """Return approvals as they stand, by their ids, without those that are not there."""
    rows = connection.execute(_READ, (_to_json(approval_ids),)).fetchall()
    return {approval.approval_id: approval for approval in (to_approval(*row) for row in rows)}


def read_approvals(connection: sqlite3.Connection, approval_ids: Sequence[str]) -> Sequence[Approval]:
    """Return approvals as they stand, in the order of the ids. Raises LookupError for one that is not there."""
    found = find_approvals(connection, approval_ids)
    return [found[approval_id] for approval_id in approval_ids]


def read_open_of_task(connection: sqlite3.Connection, task_id: str) -> Sequence[Approval]:
    """Return the open approvals of a task, oldest first."""
    return [to_approval(*row) for row in connection.execute(_READ_OPEN_OF_TASK, (task_id,)).fetchall()]


def read_open_in_trees(
    connection: sqlite3.Connection, root_task_ids: Sequence[str]
) -> Mapping[str, Sequence[Approval]]:
    """Return the open approvals of trees by the root's id, oldest first."""
    found: dict[str, list[Approval]] = {}
    for root_task_id, *row in connection.execute(_READ_OPEN_IN_TREES, (_to_json(root_task_ids),)).fetchall():
        found.setdefault(root_task_id, []).append(to_approval(*row))
    return found


def waits_for_somebody(connection: sqlite3.Connection, task_id: str) -> bool:
    """Return whether a question or an approval of a task is open."""
    return bool(connection.execute(_WAITS, (task_id,)).fetchone()[0])


def to_approval(body: bytes, state: str) -> Approval:
    """Return the approval of a row."""
    return replace(APPROVAL.decode(body), state=ApprovalState(state))


def _to_json(ids: Sequence[str]) -> str:
    return TEXTS.encode(tuple(ids)).decode()
