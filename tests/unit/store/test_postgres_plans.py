"""How PostgreSQL finds rows when what it knows of the tables is from a time when nothing ran."""

from tests.contract.values import complete, start

from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database
from musterd.store.postgres.statements import load_statement

ENDED = 100
"""So many that an index that seems to be empty looks better than the one by number."""


async def test_an_append_finds_its_task_by_number_and_not_among_all_that_run(postgres_database: Database) -> None:
    """R3. It cost the more, the more tasks ran anywhere."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    try:
        await store.write([complete(await start(store)) for _ in range(ENDED)])
    finally:
        await store.close()
    connection = await postgres_database.connect()
    try:
        await connection.execute("ANALYZE")
        await connection.execute(f"PREPARE append AS {load_statement('append')}")
        arguments = ", ".join(["NULL"] * 9)
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE append ({arguments})")]
    finally:
        await connection.close()
    assert any("using task_pkey on task" in line for line in plan), plan
    assert not any("task_owned" in line for line in plan), plan
