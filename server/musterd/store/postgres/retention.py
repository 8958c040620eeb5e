"""Removes what is old: the logs of trees, then their tasks with all that belongs to them."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from musterd.store.blobs import decode_references
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.partitions import drop_partition, list_partitions
from musterd.store.postgres.statements import load_statement
from musterd.store.retention import BATCH_ROWS, MICROS_PER_DAY, Retention

logger = structlog.get_logger(__name__)

_TRY_LOCK = load_statement("try_retention_lock")
_RELEASE_LOCK = load_statement("release_retention_lock")
_LIST_TREE_DAYS = load_statement("list_tree_days")
_FIND_OPEN_TREES = load_statement("find_open_trees")
_FIND_TREE_ENDS = load_statement("find_tree_ends")
_NOTE_TREE_ENDS = load_statement("note_tree_ends")
_IS_DAY_OVER = load_statement("is_day_over")
_HAS_EVENTS_OF_DAY = load_statement("has_events_of_day")
_FIND_ENDED_TREES = load_statement("find_ended_trees")
_TRIM_LOG = load_statement("trim_log")
_FIND_TASKS = load_statement("find_tasks_of_trees")
_FIND_SPECS_WITH_BLOBS = load_statement("find_specs_with_blobs")
_DELETE_SPEC_WITH_BLOBS = load_statement("delete_spec_with_blobs")
_DELETE_SPECS = load_statement("delete_specs")
_DELETE_UNUSED_BLOBS = load_statement("delete_unused_blobs")
_DELETE_TASKS = load_statement("delete_tasks")
_DELETE_TREES = load_statement("delete_trees")

OF_NUMBERS = (
    "model_step WHERE task = ANY ($1::bigint[])",
    "tool_step WHERE task = ANY ($1::bigint[])",
    "hook_payload WHERE task = ANY ($1::bigint[])",
    "board WHERE team = ANY ($1::bigint[])",
    "todo WHERE team = ANY ($1::bigint[])",
    "team_message WHERE team = ANY ($1::bigint[])",
    "inbox WHERE team = ANY ($1::bigint[]) AND member IS NOT NULL AND state IN ('waiting', 'refused')",
)
"""Rows that go with tasks, by the numbers of these; each of them needs an index."""

OF_IDS = (
    "inbox WHERE task_id = ANY ($1::text[])",
    "question WHERE task_id = ANY ($1::text[])",
    "approval WHERE task_id = ANY ($1::text[])",
    "hook_run WHERE task_id = ANY ($1::text[])",
    "request WHERE task_id = ANY ($1::text[])",
)
"""Rows that go with tasks, by the ids of these; each of them needs an index."""


async def sweep(connection: Connection, retention: Retention, now: datetime, is_stopped: Callable[[], bool]) -> None:
    """Remove what is older than it is to be kept, unless another session does it now. Ends early when stopped.

    Every statement is a transaction of its own. What is cut off goes on the next time.
    """
    log_cutoff = retention.log_cutoff(now)
    if log_cutoff is None or not await connection.fetchval(_TRY_LOCK):
        return
    try:
        await _Sweeper(connection, is_stopped).run(log_cutoff, retention.task_cutoff(now))
    finally:
        await connection.execute(_RELEASE_LOCK)


class _Sweeper:
    """Goes through the days on which trees were made, the oldest first."""

    def __init__(self, connection: Connection, is_stopped: Callable[[], bool]) -> None:
        self._connection = connection
        self._is_stopped = is_stopped
        self._may_drop = True
        self._deleted_count = 0

    async def run(self, log_cutoff: int, task_cutoff: int | None) -> None:
        last_day = log_cutoff // MICROS_PER_DAY
        partitions = await list_partitions(self._connection)
        days = {row["number"] for row in await self._connection.fetch(_LIST_TREE_DAYS, last_day)}
        for day in sorted(days | {day for day in partitions if day < last_day}):
            if self._is_stopped():
                return
            await self._note_ends(day)
            if day < last_day:
                await self._trim(day, log_cutoff, has_partition=day in partitions)
            if task_cutoff is not None:
                await self._each_ended(day, task_cutoff, self._delete_trees)
        await self._remove(_DELETE_UNUSED_BLOBS)
        if self._deleted_count:
            logger.info("tasks_deleted", count=self._deleted_count)

    async def _note_ends(self, day: int) -> None:
        """Note when the trees of a day ended, of those that have by now."""
        number = 0
        while not self._is_stopped():
            trees = await self._connection.fetch(_FIND_OPEN_TREES, day, number, BATCH_ROWS)
            if not trees:
                return
            number = trees[-1]["number"]
            ends = await self._connection.fetch(_FIND_TREE_ENDS, [tree["root_task_id"] for tree in trees])
            roots, times = [end["root_task_id"] for end in ends], [end["end_time"] for end in ends]
            await self._connection.execute(_NOTE_TREE_ENDS, roots, times)

    async def _trim(self, day: int, cutoff: int, *, has_partition: bool) -> None:
        """Remove the logs of a day, once all its trees ended early enough."""
        if not await self._connection.fetchval(_IS_DAY_OVER, day, cutoff):
            return
        if has_partition:
            self._may_drop = self._may_drop and await drop_partition(self._connection, day)
        elif await self._connection.fetchval(_HAS_EVENTS_OF_DAY, day):
            # They are in the default partition, together with those of other days.
            await self._each_ended(day, cutoff, self._trim_logs)

    async def _each_ended(self, day: int, cutoff: int, remove: Callable[[int, Sequence[Row]], Awaitable[None]]) -> None:
        end_time, number = 0, 0
        while not self._is_stopped():
            trees = await self._connection.fetch(_FIND_ENDED_TREES, day, cutoff, end_time, number, BATCH_ROWS)
            if not trees:
                return
            end_time, number = trees[-1]["end_time"], trees[-1]["number"]
            await remove(day, trees)

    async def _trim_logs(self, day: int, trees: Sequence[Row]) -> None:
        for tree in trees:
            await self._remove(_TRIM_LOG, tree["number"], day)

    async def _delete_trees(self, day: int, trees: Sequence[Row]) -> None:
        """Remove trees: their logs first, which name the tasks, and last what tells that there is something to do."""
        if await self._connection.fetchval(_HAS_EVENTS_OF_DAY, day):
            await self._trim_logs(day, trees)
        roots = [tree["root_task_id"] for tree in trees]
        while not self._is_stopped():
            tasks = await self._connection.fetch(_FIND_TASKS, roots, BATCH_ROWS)
            if not tasks:
                await self._connection.execute(_DELETE_TREES, [tree["number"] for tree in trees])
                return
            await self._delete_tasks([task["number"] for task in tasks], [task["task_id"] for task in tasks])

    async def _delete_tasks(self, numbers: Sequence[int], task_ids: Sequence[str]) -> None:
        # A hook goes before what it is called with: one that is there can be run.
        for rows in OF_IDS:
            await self._remove(delete_statement(rows), task_ids)
        for rows in OF_NUMBERS:
            await self._remove(delete_statement(rows), numbers)
        for spec in await self._connection.fetch(_FIND_SPECS_WITH_BLOBS, numbers):
            times = Counter(decode_references(spec["blobs"]).values())
            arguments = spec["task"], spec["tenant_id"], list(times), list(times.values())
            await self._connection.execute(_DELETE_SPEC_WITH_BLOBS, *arguments)
        if not self._is_stopped():
            await self._connection.execute(_DELETE_SPECS, numbers)
            await self._connection.execute(_DELETE_TASKS, numbers)
            self._deleted_count += len(numbers)

    async def _remove(self, statement: str, *arguments: object) -> None:
        """Run a statement whose last argument is how many rows it removes, until it finds no more."""
        while not self._is_stopped():
            status = await self._connection.execute(statement, *arguments, BATCH_ROWS)
            if int(status.removeprefix("DELETE ")) < BATCH_ROWS:
                return


def delete_statement(rows: str) -> str:
    """Return a statement that removes at most $2 of the rows that a table and a condition say."""
    table = rows.partition(" ")[0]
    return f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {rows} LIMIT $2))"  # noqa: S608 - of constants
