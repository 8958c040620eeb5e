"""Which PostgreSQL databases a version takes, and what it makes of them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files

import asyncpg
import pytest
from tests.contract.queueing import claim_ids, ids
from tests.contract.values import ANNA, make_deltas, make_root, read_log, say, start

from musterd.domain.queueing import Caps
from musterd.domain.task import TaskState
from musterd.store.errors import StoreOpenError, UnreadableRowError
from musterd.store.migrations import load_migrations
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database, quote
from musterd.store.postgres.partitions import DAYS_AHEAD
from musterd.store.postgres.statements import load_statement

PACKAGE = "musterd.store.postgres"
STATEMENTS = sorted(entry.name.removesuffix(".sql") for entry in (files(PACKAGE) / "sql").iterdir())


async def open_once(database: Database) -> None:
    """Open a store and close it."""
    store = PostgresStore(database)
    await store.open(lambda _: None)
    await store.close()


async def query(database: Database, statement: str) -> list[asyncpg.Record]:
    """Look into a database by hand, or change it."""
    connection = await asyncpg.connect(database.dsn, server_settings={"search_path": quote(database.schema)})
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    """R3."""
    found = load_migrations(PACKAGE)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_says_what_it_does_and_is_used_once(name: str) -> None:
    """R3."""
    assert load_statement(name).startswith("-- ")
    modules = [entry.read_text("utf-8") for entry in files(PACKAGE).iterdir() if entry.name.endswith(".py")]
    assert any(f'load_statement("{name}")' in module for module in modules)


async def test_processes_that_start_together_migrate_once(postgres_database: Database) -> None:
    """R3."""
    await asyncio.gather(*[open_once(postgres_database) for _ in range(5)])
    recorded = await query(postgres_database, "SELECT number, name, sha256 FROM migration ORDER BY number")
    assert [tuple(row) for row in recorded] == [
        (migration.number, migration.name, migration.sha256) for migration in load_migrations(PACKAGE)
    ]


async def test_a_changed_migration_is_refused(postgres_database: Database) -> None:
    """R3."""
    await open_once(postgres_database)
    await query(postgres_database, "UPDATE migration SET sha256 = 'other'")
    with pytest.raises(StoreOpenError, match=r"0001_initial with another text .* restore a backup"):
        await open_once(postgres_database)


async def test_a_database_of_a_newer_version_is_refused_unless_it_only_has_more(postgres_database: Database) -> None:
    """R3."""
    await open_once(postgres_database)
    await query(postgres_database, "INSERT INTO migration VALUES (9998, '9998_more', 'x', 0, 0)")
    await open_once(postgres_database)
    await query(postgres_database, "INSERT INTO migration VALUES (9999, '9999_less', 'x', 0, 9999)")
    with pytest.raises(StoreOpenError, match="9999_less, and this version of musterd does not know it"):
        await open_once(postgres_database)


async def test_a_schema_of_something_else_is_refused(postgres_database: Database) -> None:
    """R3."""
    schema = quote(postgres_database.schema)
    await query(postgres_database, f"CREATE SCHEMA {schema}")
    await query(postgres_database, "CREATE TABLE customers (name TEXT)")
    with pytest.raises(StoreOpenError, match="something else than musterd: name another"):
        await open_once(postgres_database)


@pytest.mark.parametrize("dsn", ["postgresql://musterd:secret@127.0.0.1:1/postgres", "no dsn"])
async def test_a_database_that_is_not_there_is_refused_without_telling_the_password(dsn: str) -> None:
    """R3."""
    with pytest.raises(StoreOpenError, match="cannot be opened") as refused:
        await open_once(Database(dsn=dsn))
    assert "secret" not in str(refused.value)


async def test_days_have_their_partition_before_they_come(postgres_database: Database) -> None:
    """R3."""
    now = datetime(2026, 5, 6, 23, 59, tzinfo=UTC)
    store = PostgresStore(postgres_database, lambda: now)
    await store.open(lambda _: None)
    task = await start(store)
    now = datetime(2026, 5, 7, 0, 1, tzinfo=UTC)
    await store.maintain()
    await store.write([say(task, *make_deltas(2))])
    later = await start(store)
    assert len(await read_log(store, task)) == 3
    assert len(await read_log(store, later)) == 1
    await store.close()
    counts = await query(postgres_database, "SELECT tableoid::regclass::text AS name, count(*) FROM event GROUP BY 1")
    assert {(row["name"], row["count"]) for row in counts} == {("event_20260506", 3), ("event_20260507", 1)}
    partitions = await query(postgres_database, "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'event'::regclass")
    assert len(partitions) == DAYS_AHEAD + 1 + 1 + 1


async def test_processes_that_make_the_same_partitions_do_not_trip_over_each_other(postgres_database: Database) -> None:
    """R3: which makes a day's does not matter."""
    now = datetime(2026, 5, 6, tzinfo=UTC)
    stores = [PostgresStore(postgres_database, lambda: now) for _ in range(3)]
    for store in stores:
        await store.open(lambda _: None)
    now = datetime(2026, 7, 8, tzinfo=UTC)
    await asyncio.gather(*(store.maintain() for store in stores))
    for store in stores:
        await store.close()


async def test_a_day_without_a_partition_loses_nothing(postgres_database: Database) -> None:
    """R3: and such a day does not keep a server from starting."""
    now = datetime(2026, 5, 6, tzinfo=UTC)
    store = PostgresStore(postgres_database, lambda: now)
    await store.open(lambda _: None)
    now = datetime(2026, 7, 8, tzinfo=UTC)
    task = await start(store)
    assert len(await read_log(store, task)) == 1
    await store.close()
    await store.open(lambda _: None)
    assert len(await read_log(store, task)) == 1
    await store.close()


async def test_stored_times_come_from_the_database(postgres_database: Database) -> None:
    """R11."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    before = await store.now()
    task = await start(store)
    assert before <= task.create_time <= await store.now()
    (row,) = await query(postgres_database, "SELECT clock_timestamp() AS now")
    assert abs((row["now"] - task.create_time).total_seconds()) < 60
    await store.close()


@pytest.mark.parametrize(
    "statement", ["UPDATE event SET format = 2", "UPDATE event SET kind = 'dance'"], ids=["format", "kind"]
)
async def test_an_event_of_a_newer_version_is_not_guessed_at(postgres_database: Database, statement: str) -> None:
    """R3."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    task = await start(store)
    await query(postgres_database, statement)
    with pytest.raises(UnreadableRowError, match="this version"):
        await store.read_events(task.task_id, 0, 10)
    await store.close()


async def test_every_row_names_its_tenant(postgres_database: Database) -> None:
    """I5."""
    await open_once(replace(postgres_database))
    tables = await query(
        postgres_database,
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() EXCEPT SELECT table_name"
        " FROM information_schema.columns WHERE table_schema = current_schema() AND column_name = 'tenant_id'",
    )
    assert {row["tablename"] for row in tables} == {"migration", "replica"}


async def test_rows_of_a_queue_that_nobody_can_read_end_and_take_no_place(postgres_database: Database) -> None:
    """R9, R11."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    broken = [await start(store, make_root(owner=None)) for _ in range(3)]
    await query(postgres_database, "UPDATE task_spec SET format = 99")
    sound = [await start(store, make_root(owner=None)) for _ in range(2)]
    assert await claim_ids(store, Caps(in_all=10), limit=2) == ids(sound)
    states = [(await store.get_task(ANNA, task.task_id)).state for task in broken]
    assert states == [TaskState.FAILED] * 3
    assert await store.count_queued() == 0
    await store.close()
