"""What is removed from a database that many processes write to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from itertools import count
from typing import TypeAlias

import asyncpg
import pytest
from tests.contract.hooking import claim_hooks, end_with, make_hook_run
from tests.contract.values import ANNA, claim, complete, make_deltas, make_root, make_spec, read_log, say, start
from tests.unit.store.retaining import Clock, PostgresPlace, World

from musterd.domain.task import Part, Task
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.store.postgres import PostgresStore, retention
from musterd.store.postgres.connection import Database
from musterd.store.postgres.statements import load_statement
from musterd.store.retention import Retention

LOGS, TASKS = 10, 20
KEPT = Retention(event_days=LOGS, task_days=TASKS)
DATA = b"x" * (INLINE_PART_MAX_BYTES + 1)
LARGE = Part(media_type="image/png", data=DATA)
TAKE_UP = "acme", sha256(DATA).digest(), DATA
STATEMENTS = (
    "find_open_trees",
    "find_tree_ends",
    "note_tree_ends",
    "is_day_over",
    "has_events_of_day",
    "find_ended_trees",
    "trim_log",
    "find_tasks_of_trees",
    "find_specs_with_blobs",
    "delete_spec_with_blobs",
    "delete_specs",
    "delete_unused_blobs",
    "delete_tasks",
    "delete_trees",
)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class PostgresWorld(World):
    """The tables of a database, with connections to it by hand."""

    database: Database

    async def partitions(self) -> Sequence[str]:
        """Return the names of the partitions of days that have begun."""
        names = await self.place.query("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
        today = f"event_{self.clock():%Y%m%d}"
        return sorted(name for (name,) in names if name <= today)

    async def is_waiting(self) -> None:
        """Return once somebody waits for a lock."""
        while not (await self.place.query("SELECT FROM pg_locks WHERE NOT granted")):
            pass

    async def end(self) -> Task:
        """Store a task that ends at once."""
        task = await start(self.store)
        await self.store.write([complete(task)])
        return task


@pytest.fixture
async def world(postgres_database: Database) -> AsyncIterator[PostgresWorld]:
    clock, place = Clock(), PostgresPlace(postgres_database)
    store = place.store(clock, KEPT)
    await store.open(lambda _: None)
    yield PostgresWorld(store, clock, place, postgres_database)
    await store.close()


@pytest.fixture
async def other(world: PostgresWorld) -> AsyncIterator[Connection]:
    """Return a connection of somebody else."""
    connection = await world.database.connect()
    yield connection
    await connection.close()


async def test_the_log_of_a_day_is_dropped_once_all_its_trees_ended_long_ago(world: PostgresWorld) -> None:
    """R3: until then those that ended stay with the others."""
    done, running = await world.end(), await start(world.store)
    world.clock.pass_days(1)
    later = await world.end()
    await world.maintain_after(LOGS + 1)
    assert (len(await read_log(world.store, done)), len(await read_log(world.store, running))) == (2, 1)
    assert (await world.store.read_events(later.task_id, 0, 9)).oldest_sequence == 3
    assert (await world.partitions())[0] == "event_20260506"
    assert "event_20260507" not in await world.partitions()
    await world.store.write([complete(running)])
    await world.maintain_after(LOGS - 0.01)
    assert (await world.partitions())[0] == "event_20260506"
    await world.maintain_after(0.02)
    assert [(await world.store.read_events(task.task_id, 0, 9)).events for task in (done, running)] == [(), ()]
    assert "event_20260506" not in await world.partitions()


async def test_days_without_trees_are_dropped_too(world: PostgresWorld) -> None:
    """R3: and none that is young, or to come."""
    await world.maintain_after(LOGS + 3)
    assert (await world.partitions())[0] == "event_20260509"
    ahead = await world.place.query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event'::regclass")
    await world.store.maintain()
    assert await world.place.query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event'::regclass") == ahead


async def test_a_task_goes_with_its_log_though_another_keeps_the_log_of_the_day(world: PostgresWorld) -> None:
    """R3: whose events are not touched."""
    done, running = await world.end(), await start(world.store)
    await world.store.write([say(running, *make_deltas(3))])
    await world.maintain_after(TASKS)
    assert await world.count("event", "task", "tree") == {"event": 4, "task": 1, "tree": 1}
    assert len(await read_log(world.store, running)) == 4
    assert (await world.store.read_events(done.task_id, 0, 9)).last_sequence == 0


async def test_a_log_without_a_partition_of_its_day_goes_as_well(world: PostgresWorld) -> None:
    """R3: out of the default partition, where those of other days stay."""
    world.clock.pass_days(100)
    done = await world.end()
    world.clock.pass_days(1)
    running = await start(world.store)
    assert await world.place.query("SELECT DISTINCT tableoid::regclass::text FROM event") == [("event_default",)]
    await world.maintain_after(LOGS)
    assert (await world.store.read_events(done.task_id, 0, 9)).oldest_sequence == 3
    assert len(await read_log(world.store, running)) == 1


async def test_writers_wait_only_a_moment_for_a_partition_that_cannot_be_dropped(
    world: PostgresWorld, other: Connection
) -> None:
    """R3: who reads the table for long, like a backup, keeps the partition and not the writers."""
    old = await world.end()
    world.clock.pass_days(LOGS + 1)
    async with other.transaction():
        await other.execute("LOCK TABLE event IN ACCESS SHARE MODE")
        maintaining = asyncio.ensure_future(world.store.maintain())
        await world.is_waiting()
        task = await start(world.store)
        await maintaining
        assert len(await read_log(world.store, task)) == 1
        assert len(await read_log(world.store, old)) == 2
    await world.store.maintain()
    assert (await world.store.read_events(old.task_id, 0, 9)).events == ()


async def test_of_several_one_removes_what_is_old(world: PostgresWorld, other: Connection) -> None:
    """R3: the others skip it, and all of them may begin at once."""
    await world.end()
    world.clock.pass_days(TASKS)
    assert await other.fetchval(load_statement("try_retention_lock"))
    await world.store.maintain()
    assert await world.count("tree") == {"tree": 1}
    await other.execute(load_statement("release_retention_lock"))
    async with AsyncExitStack() as stack:
        stores = [PostgresStore(world.database, world.clock, retention=KEPT) for _ in range(4)]
        for store in stores:
            await store.open(lambda _: None)
            stack.push_async_callback(store.close)
        await asyncio.gather(*[store.maintain() for store in stores])
        assert await world.count() == {}
        # Nobody keeps the right to it.
        assert await other.fetchval(load_statement("try_retention_lock"))


@pytest.mark.parametrize("is_released", [False, True], ids=["released now", "released before"])
async def test_a_large_part_that_a_new_task_takes_up_stays(
    world: PostgresWorld, other: Connection, *, is_released: bool
) -> None:
    """C9: even if the new task is not committed yet."""
    old = await start(world.store, make_root(spec=make_spec(parts=(LARGE,))))
    await world.store.write([complete(old)])
    world.clock.pass_days(TASKS)
    if is_released:
        await other.execute("UPDATE task_spec SET blobs = NULL")
        await other.execute("UPDATE blob SET uses = 0")
    async with other.transaction():
        await other.execute(load_statement("insert_blob"), *TAKE_UP)
        maintaining = asyncio.ensure_future(world.store.maintain())
        await world.is_waiting()
    await maintaining
    assert await world.place.query("SELECT uses FROM blob") == [(1,)]
    assert await world.count("task") == {}


async def test_a_task_that_takes_up_a_large_part_which_goes_stores_it_anew(
    world: PostgresWorld, other: Connection
) -> None:
    """C9."""
    old = await start(world.store, make_root(spec=make_spec(parts=(LARGE,))))
    await world.store.write([complete(old)])
    await other.execute("UPDATE blob SET uses = 0")
    async with other.transaction():
        await other.execute(load_statement("delete_unused_blobs"), 1)
        creating = asyncio.ensure_future(start(world.store, make_root(owner=None, spec=make_spec(parts=(LARGE,)))))
        await world.is_waiting()
    new = await creating
    (claimed,) = await claim(world.store)
    assert (claimed.task.task_id, claimed.spec.parts) == (new.task_id, (LARGE,))


async def test_a_sweep_that_is_stopped_anywhere_goes_on_the_next_time(world: PostgresWorld, other: Connection) -> None:
    """R3: what it leaves is whole, or begins later."""
    await world.store.write([complete(await start(world.store, make_root(spec=make_spec(parts=(LARGE,)))))])
    running = await start(world.store)
    now = world.clock() + timedelta(days=TASKS)
    for steps in count(1):
        left = await world.count()
        looks = count()
        await retention.sweep(other, KEPT, now, lambda looks=looks, steps=steps: next(looks) >= steps)
        assert len(await read_log(world.store, running)) == 1
        if left == await world.count() and next(looks) <= steps:
            break
    assert await world.count("tree", "task", "event", "blob") == {"tree": 1, "task": 1, "event": 1}


async def test_a_hook_whose_task_is_being_removed_stops_no_claim(world: PostgresWorld, other: Connection) -> None:
    """H4, R3: it is whole, or gone."""
    await end_with(world.store, make_hook_run())
    world.clock.pass_days(TASKS)
    sound = make_hook_run()
    await end_with(world.store, sound)
    for steps in count(1):
        looks = count()
        await retention.sweep(other, KEPT, world.clock(), lambda looks=looks, steps=steps: next(looks) >= steps)
        # Each in a name that is not alive: the next one takes it over.
        assert sound.hook_run_id in {one.run.hook_run_id for one in await claim_hooks(world.store, f"owner-{steps}")}
        if next(looks) <= steps:
            break
    assert await world.count("hook_run", "hook_payload") == {"hook_run": 1, "hook_payload": 1}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_statement_finds_its_rows_along_an_index(world: PostgresWorld, name: str) -> None:
    """R3."""
    await _check_plan(world.database, load_statement(name))


@pytest.mark.parametrize("rows", [*retention.OF_NUMBERS, *retention.OF_IDS])
async def test_what_goes_with_a_task_is_found_along_an_index(world: PostgresWorld, rows: str) -> None:
    """R3."""
    await _check_plan(world.database, retention.delete_statement(rows))


async def _check_plan(database: Database, statement: str) -> None:
    """Hold that every scan of a table has a condition that its index answers, or reads rows by their place."""
    pool = await database.open_pool()
    async with pool, pool.acquire() as connection:
        await connection.execute(f"PREPARE one AS {statement}")
        number = await connection.fetchval(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'one'"
        )
        rows = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE one ({', '.join(['NULL'] * number)})")
    lines = [row[0].strip(" ->") for row in rows]
    for line, condition in zip(lines, [*lines[1:], ""], strict=True):
        if " Scan " in line and not line.startswith(("CTE", "Function", "Subquery")):
            assert condition.startswith(("Index Cond", "TID Cond")) or "blob_unused" in line, "\n".join(lines)


async def test_nothing_of_it_is_told_to_a_viewer(world: PostgresWorld) -> None:
    """R4: the row of a task whose log is gone is the row that it was."""
    done = await world.end()
    before = await world.store.get_task(ANNA, done.task_id)
    await world.maintain_after(LOGS + 1)
    assert await world.store.get_task(ANNA, done.task_id) == before
    assert replace(before, last_sequence=0) != before
