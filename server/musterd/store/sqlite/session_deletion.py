"""Deletes a session with all that its runs left."""

import json
from collections.abc import Sequence

from musterd.domain.session import SessionKey, session_is_live, session_not_found
from musterd.store.retention import BATCH_ROWS
from musterd.store.sessions import key_values
from musterd.store.sqlite.retention import (
    DELETE_UNUSED_BLOBS,
    OF_IDS,
    OF_NUMBERS,
    delete_statement,
    delete_tasks,
    forget_trees,
)
from musterd.store.sqlite.sessions import find_live_runs, find_session
from musterd.store.sqlite.transaction import Transaction

_ALL = -1

_FIND_TREES = """
SELECT tree.number, tree.root_task_id
FROM task INDEXED BY task_by_session JOIN tree ON tree.root_task_id = task.task_id
WHERE task.tenant_id = ? AND +task.user_id = ? AND task.session_id = ?
  AND +task.component_kind = ? AND +task.component_id = ? AND +task.parent_task_id IS NULL
"""
_FIND_TASKS = "SELECT number, task_id FROM task WHERE root_task_id IN (SELECT value FROM json_each(?))"
_DELETE_LOGS = "DELETE FROM event WHERE tree IN (SELECT value FROM json_each(?))"
_DELETE_ENTRIES = "DELETE FROM session_entry WHERE session = ?"
_DELETE_SESSION = "DELETE FROM session WHERE number = ?"


def delete_session(transaction: Transaction, key: SessionKey) -> None:
    """Delete a session, unless a task of it has not ended. Raises SESSION_NOT_FOUND or SESSION_BUSY."""
    connection = transaction.connection
    found = find_session(connection, key)
    if found is None:
        raise session_not_found(key.session_id)
    if live := find_live_runs(connection, key):
        raise session_is_live(key.session_id, live[0].task_id)
    # What other operations of this commit have said is deleted too.
    transaction.flush()
    trees = connection.execute(_FIND_TREES, key_values(key)).fetchall()
    _delete_trees(transaction, [number for number, _ in trees], [root_task_id for _, root_task_id in trees])
    connection.execute(_DELETE_ENTRIES, (found[0],))
    connection.execute(_DELETE_SESSION, (found[0],))
    connection.execute(DELETE_UNUSED_BLOBS, (BATCH_ROWS,))


def _delete_trees(transaction: Transaction, numbers: Sequence[int], root_task_ids: Sequence[str]) -> None:
    connection = transaction.connection
    tasks = connection.execute(_FIND_TASKS, (json.dumps(root_task_ids),)).fetchall()
    connection.execute(_DELETE_LOGS, (json.dumps(numbers),))
    for rows in OF_NUMBERS:
        connection.execute(delete_statement(rows), (json.dumps([number for number, _ in tasks]), _ALL))
    for rows in OF_IDS:
        connection.execute(delete_statement(rows), (json.dumps([task_id for _, task_id in tasks]), _ALL))
    delete_tasks(transaction, tasks)
    forget_trees(transaction, numbers, root_task_ids)
