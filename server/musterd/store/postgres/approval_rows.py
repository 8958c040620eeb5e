"""Rows of the approval table and the approvals that they stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from musterd.domain.task import Approval, ApprovalState
from musterd.store.encoding import APPROVAL
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.statements import load_statement

_READ = load_statement("read_approvals")
_READ_OPEN = load_statement("read_open_approvals")
_READ_OPEN_IN_TREE = load_statement("read_open_approvals_in_tree")
_FIND_OPEN_REQUESTS = load_statement("find_open_requests")


async def find_approvals(connection: Connection, approval_ids: Sequence[str]) -> Mapping[str, Approval]:
    """Return approvals as they stand, by their ids, without those that are not there."""
    if not approval_ids:
        return {}
    found = [to_approval(row) for row in await connection.fetch(_READ, list(approval_ids))]
    return {approval.approval_id: approval for approval in found}


async def read_approvals(connection: Connection, approval_ids: Sequence[str]) -> Sequence[Approval]:
    """Return approvals as they stand, in the order of the ids. Raises LookupError for one that is not there."""
    found = await find_approvals(connection, approval_ids)
    return [found[approval_id] for approval_id in approval_ids]


async def read_open_of_task(connection: Connection, task_id: str) -> Sequence[Approval]:
    """Return the open approvals of a task, oldest first."""
    return [to_approval(row) for row in await connection.fetch(_READ_OPEN, task_id)]


async def read_open_in_tree(connection: Connection, root_task_id: str) -> Sequence[Approval]:
    """Return the open approvals of a tree, oldest first."""
    return [to_approval(row) for row in await connection.fetch(_READ_OPEN_IN_TREE, root_task_id)]


async def find_open_requests(connection: Connection, task_id: str) -> tuple[bool, bool]:
    """Return whether a question, and whether an approval, of a task is open."""
    row = await connection.fetchrow(_FIND_OPEN_REQUESTS, task_id)
    return (False, False) if row is None else (row["has_question"], row["has_approval"])


def to_approval(row: Row) -> Approval:
    """Return the approval of a row."""
    return replace(APPROVAL.decode(row["body"]), state=ApprovalState(row["state"]))
