"""Deletes a session with all that its runs left."""

from collections import Counter
from collections.abc import Collection, Sequence

from musterd.domain.session import SessionKey, session_is_live, session_not_found
from musterd.store.blobs import decode_references
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.retention import OF_IDS, OF_NUMBERS, delete_statement
from musterd.store.postgres.sessions import find_live_runs
from musterd.store.postgres.statements import load_statement
from musterd.store.postgres.transaction import Transaction
from musterd.store.retention import BATCH_ROWS
from musterd.store.sessions import key_values

_LOCK = load_statement("lock_session")
_FIND_TREES = load_statement("find_session_trees")
_FIND_TASKS = load_statement("find_tasks_of_trees")
_FIND_SPECS_WITH_BLOBS = load_statement("find_specs_with_blobs")
_DELETE_LOG = load_statement("delete_log")
_DELETE_SPEC_WITH_BLOBS = load_statement("delete_spec_with_blobs")
_DELETE_SPECS = load_statement("delete_specs")
_DELETE_TASKS = load_statement("delete_tasks")
_DELETE_TREES = load_statement("delete_trees")
_DELETE_SESSION = load_statement("delete_session")
_DELETE_UNUSED_BLOBS = load_statement("delete_unused_blobs")


async def find_roots(connection: Connection, key: SessionKey) -> Collection[str]:
    """Return the ids of a session's runs."""
    return {row["root_task_id"] for row in await connection.fetch(_FIND_TREES, *key_values(key))}


async def delete_session(transaction: Transaction, key: SessionKey, locked: Collection[str]) -> bool:
    """Delete a session whose trees are locked, unless a task of it has not ended.

    Returns False, and deletes nothing, when it has got a run since then. Raises SESSION_NOT_FOUND or SESSION_BUSY.
    """
    connection = transaction.connection
    number = await connection.fetchval(_LOCK, *key_values(key))
    if number is None:
        raise session_not_found(key.session_id)
    if live := await find_live_runs(connection, key):
        raise session_is_live(key.session_id, live[0].task_id)
    trees = await connection.fetch(_FIND_TREES, *key_values(key))
    if any(tree["root_task_id"] not in locked for tree in trees):
        return False
    await _delete_trees(connection, trees)
    await connection.execute(_DELETE_SESSION, number)
    await connection.execute(_DELETE_UNUSED_BLOBS, BATCH_ROWS)
    return True


async def _delete_trees(connection: Connection, trees: Sequence[Row]) -> None:
    for tree in trees:
        await connection.execute(_DELETE_LOG, tree["number"], tree["create_day"])
    tasks = await connection.fetch(_FIND_TASKS, [tree["root_task_id"] for tree in trees], None)
    numbers = [task["number"] for task in tasks]
    for rows in OF_NUMBERS:
        await connection.execute(delete_statement(rows), numbers, None)
    for rows in OF_IDS:
        await connection.execute(delete_statement(rows), [task["task_id"] for task in tasks], None)
    for spec in await connection.fetch(_FIND_SPECS_WITH_BLOBS, numbers):
        times = Counter(decode_references(spec["blobs"]).values())
        arguments = spec["task"], spec["tenant_id"], list(times), list(times.values())
        await connection.execute(_DELETE_SPEC_WITH_BLOBS, *arguments)
    await connection.execute(_DELETE_SPECS, numbers)
    await connection.execute(_DELETE_TASKS, numbers)
    await connection.execute(_DELETE_TREES, [tree["number"] for tree in trees])
