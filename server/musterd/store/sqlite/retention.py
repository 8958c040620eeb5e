"""Removes what is old: the logs of trees, then their tasks with all that belongs to them."""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

import structlog

from musterd.store.blobs import decode_references
from musterd.store.retention import BATCH_ROWS, MICROS_PER_DAY, Retention
from musterd.store.sqlite.transaction import Transaction

C_co = TypeVar("C_co", covariant=True)
T = TypeVar("T")

logger = structlog.get_logger(__name__)

OF_NUMBERS = (
    "model_step WHERE task IN (SELECT value FROM json_each(?1))",
    "tool_step WHERE task IN (SELECT value FROM json_each(?1))",
    "hook_payload WHERE task IN (SELECT value FROM json_each(?1))",
    "board WHERE team IN (SELECT value FROM json_each(?1))",
    "todo WHERE team IN (SELECT value FROM json_each(?1))",
    "team_message WHERE team IN (SELECT value FROM json_each(?1))",
    "inbox WHERE team IN (SELECT value FROM json_each(?1)) AND member IS NOT NULL AND state IN ('waiting', 'refused')",
)
"""Rows that go with tasks, by the numbers of these; each of them needs an index."""

OF_IDS = (
    "inbox WHERE task_id IN (SELECT value FROM json_each(?1))",
    "question WHERE task_id IN (SELECT value FROM json_each(?1))",
    "approval WHERE task_id IN (SELECT value FROM json_each(?1))",
    "hook_run WHERE task_id IN (SELECT value FROM json_each(?1))",
    "request WHERE task_id IN (SELECT value FROM json_each(?1))",
)
"""Rows that go with tasks, by the ids of these; each of them needs an index."""

_KEYS = {"request": "(tenant_id, user_id, method, request_id)"}
"""What tells the rows of a table apart that have no rowid."""

_LIST_TREE_DAYS = """
WITH RECURSIVE day AS (
    SELECT min(create_day) AS number FROM tree
    UNION ALL
    SELECT (SELECT min(create_day) FROM tree WHERE create_day > day.number) FROM day WHERE day.number <= ?1
)
SELECT number FROM day WHERE number <= ?1
"""
_FIND_OPEN_TREES = """
SELECT number, root_task_id FROM tree INDEXED BY tree_by_day
WHERE create_day = ? AND end_time IS NULL AND number > ?
ORDER BY number
LIMIT ?
"""
# Nothing is ever added to a tree whose tasks have all ended.
_FIND_TREE_ENDS = """
SELECT max(end_time), root_task_id FROM task
WHERE root_task_id IN (SELECT value FROM json_each(?))
GROUP BY root_task_id
HAVING count(*) = count(end_time)
"""
_NOTE_TREE_END = "UPDATE tree SET end_time = ? WHERE root_task_id = ?"
# Goes from tree to tree along the index, past all events that each one has.
_FIND_LOGGED_TREES = """
WITH RECURSIVE logged AS (
    SELECT min(tree) AS number FROM event WHERE tree > ?
    UNION ALL
    SELECT (SELECT min(tree) FROM event WHERE tree > logged.number) FROM logged WHERE logged.number IS NOT NULL
    LIMIT ?
)
SELECT tree.number, create_day, end_time FROM logged JOIN tree USING (number) ORDER BY number
"""
_TRIM_LOG = """
DELETE FROM event WHERE tree = ?1 AND sequence < ?2 + (SELECT min(sequence) FROM event WHERE tree = ?1)
"""
_FIND_ENDED_TREES = """
SELECT number, root_task_id FROM tree INDEXED BY tree_by_day
WHERE create_day = ? AND end_time <= ?
LIMIT ?
"""
# The newest first: the root is the last to go.
_FIND_TASKS = """
SELECT number, task_id FROM task WHERE root_task_id IN (SELECT value FROM json_each(?))
ORDER BY create_time DESC, task_id DESC
LIMIT ?
"""
_FIND_BLOBS = """
SELECT tenant_id, blobs FROM task_spec JOIN task ON task.number = task_spec.task
WHERE task_spec.task IN (SELECT value FROM json_each(?)) AND blobs IS NOT NULL
"""
_RELEASE_BLOB = "UPDATE blob SET uses = uses - 1 WHERE tenant_id = ? AND sha256 = ?"
_DELETE_SPECS = "DELETE FROM task_spec WHERE task IN (SELECT value FROM json_each(?))"
_DELETE_TASKS = "DELETE FROM task WHERE number IN (SELECT value FROM json_each(?))"
_DELETE_TREES = "DELETE FROM tree WHERE number IN (SELECT value FROM json_each(?))"
DELETE_UNUSED_BLOBS = "DELETE FROM blob WHERE rowid IN (SELECT rowid FROM blob WHERE uses = 0 LIMIT ?)"


class Submit(Protocol[C_co]):
    """Has a call run by the thread that reads, or the one that writes."""

    def __call__(self, call: Callable[[C_co], T], /) -> Awaitable[T]:
        """Return what the call returns."""
        ...


async def sweep(
    read: Submit[sqlite3.Connection], write: Submit[Transaction], retention: Retention, now: datetime
) -> None:
    """Remove what is older than it is to be kept. Each batch is a job of its own, between what runs write.

    What is cut off goes on the next time.
    """
    log_cutoff, task_cutoff = retention.log_cutoff(now), retention.task_cutoff(now)
    if log_cutoff is None:
        return
    last_day = log_cutoff // MICROS_PER_DAY
    days = await read(partial(_list_days, last_day=last_day))
    for day in days:
        await _note_ends(write, day)
    await _trim_logs(read, write, last_day, log_cutoff)
    if task_cutoff is None:
        return
    deleted = 0
    for day in days:
        while trees := await read(partial(_find_ended_trees, day=day, cutoff=task_cutoff)):
            deleted += await _delete_trees(read, write, trees)
    await _remove(write, DELETE_UNUSED_BLOBS)
    if deleted:
        logger.info("tasks_deleted", count=deleted)


async def _note_ends(write: Submit[Transaction], day: int) -> None:
    """Note when the trees of a day ended, of those that have by now."""
    number: int | None = 0
    while number is not None:
        number = await write(partial(_note_some_ends, day=day, after=number))


async def _trim_logs(read: Submit[sqlite3.Connection], write: Submit[Transaction], last_day: int, cutoff: int) -> None:
    """Remove the logs of trees that ended early enough. Their numbers grow with the days on which they were made."""
    after = 0
    while trees := await read(partial(_find_logged_trees, after=after)):
        for number, _, end_time in trees:
            if end_time is not None and end_time <= cutoff:
                await _remove(write, _TRIM_LOG, number)
        after, create_day, _ = trees[-1]
        if create_day > last_day:
            return


async def _delete_trees(
    read: Submit[sqlite3.Connection], write: Submit[Transaction], trees: Sequence[tuple[int, str]]
) -> int:
    """Remove trees: their logs first, which name the tasks, and last what tells that there is something to do."""
    numbers, roots = [number for number, _ in trees], [root_task_id for _, root_task_id in trees]
    for number in numbers:
        await _remove(write, _TRIM_LOG, number)
    deleted = 0
    while tasks := await read(partial(_find_tasks, roots=roots)):
        # A hook goes before what it is called with: one that is there can be run.
        for rows in OF_IDS:
            await _remove(write, delete_statement(rows), json.dumps([task_id for _, task_id in tasks]))
        for rows in OF_NUMBERS:
            await _remove(write, delete_statement(rows), json.dumps([number for number, _ in tasks]))
        await write(partial(delete_tasks, tasks=tasks))
        deleted += len(tasks)
    await write(partial(forget_trees, numbers=numbers, roots=roots))
    return deleted


async def _remove(write: Submit[Transaction], statement: str, *arguments: object) -> None:
    """Run a statement whose last argument is how many rows it removes, until it finds no more."""
    while await write(partial(_execute, statement=statement, arguments=(*arguments, BATCH_ROWS))) == BATCH_ROWS:
        pass


def delete_statement(rows: str) -> str:
    """Return a statement that removes at most ?2 of the rows that a table and a condition say."""
    table = rows.partition(" ")[0]
    key = _KEYS.get(table, "rowid")
    columns = key.strip("()")
    return f"DELETE FROM {table} WHERE {key} IN (SELECT {columns} FROM {rows} LIMIT ?2)"  # noqa: S608 - of constants


def _execute(transaction: Transaction, statement: str, arguments: Sequence[object]) -> int:
    return transaction.connection.execute(statement, arguments).rowcount


def _list_days(connection: sqlite3.Connection, last_day: int) -> Sequence[int]:
    return [day for (day,) in connection.execute(_LIST_TREE_DAYS, (last_day,))]


def _note_some_ends(transaction: Transaction, day: int, after: int) -> int | None:
    """Note the ends of some trees, and return the number of the last that was looked at; None when there was none."""
    execute = transaction.connection.execute
    trees = execute(_FIND_OPEN_TREES, (day, after, BATCH_ROWS)).fetchall()
    if not trees:
        return None
    ends = execute(_FIND_TREE_ENDS, (json.dumps([root_task_id for _, root_task_id in trees]),)).fetchall()
    transaction.connection.executemany(_NOTE_TREE_END, ends)
    return trees[-1][0]


def _find_logged_trees(connection: sqlite3.Connection, after: int) -> Sequence[tuple[int, int, int | None]]:
    return connection.execute(_FIND_LOGGED_TREES, (after, BATCH_ROWS)).fetchall()


def _find_ended_trees(connection: sqlite3.Connection, day: int, cutoff: int) -> Sequence[tuple[int, str]]:
    return connection.execute(_FIND_ENDED_TREES, (day, cutoff, BATCH_ROWS)).fetchall()


def _find_tasks(connection: sqlite3.Connection, roots: Sequence[str]) -> Sequence[tuple[int, str]]:
    return connection.execute(_FIND_TASKS, (json.dumps(roots), BATCH_ROWS)).fetchall()


def delete_tasks(transaction: Transaction, tasks: Sequence[tuple[int, str]]) -> None:
    """Remove tasks and what they were asked to do, and note that they use their large parts no more."""
    connection, numbers = transaction.connection, json.dumps([number for number, _ in tasks])
    released = [
        (tenant_id, sha256)
        for tenant_id, blobs in connection.execute(_FIND_BLOBS, (numbers,)).fetchall()
        for sha256 in decode_references(blobs).values()
    ]
    connection.executemany(_RELEASE_BLOB, released)
    connection.execute(_DELETE_SPECS, (numbers,))
    connection.execute(_DELETE_TASKS, (numbers,))
    transaction.forget(task_ids=[task_id for _, task_id in tasks])


def forget_trees(transaction: Transaction, numbers: Sequence[int], roots: Sequence[str]) -> None:
    """Remove trees whose tasks are gone."""
    transaction.connection.execute(_DELETE_TREES, (json.dumps(numbers),))
    transaction.forget(root_task_ids=roots)
