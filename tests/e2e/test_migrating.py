"""`musterd db migrate`, and `musterd serve` on a database whose schema is not the one it wants."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from tests.e2e.shop import Shop, open_shop
from tests.support.processes import Finished, finish

from musterd.store.postgres.connection import Database, quote
from musterd_client import HealthStatus


async def query(database: Database, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.dsn, server_settings={"search_path": quote(database.schema)})
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def migrate(folder: Path, database: Database, *, url: str | None = None) -> Finished:
    variables = {"MUSTERD_STORE__URL": url or database.dsn, "MUSTERD_STORE__DB_SCHEMA": database.schema}
    return await finish("musterd", "db", "migrate", folder=folder, variables=variables)


async def refusal_to_serve(shop: Shop, database: Database) -> str:
    """Return why a server does not start on a database."""
    variables = {**shop.variables, "MUSTERD_STORE__URL": database.dsn, "MUSTERD_STORE__DB_SCHEMA": database.schema}
    refused = await finish("musterd", "serve", "shop:app", folder=shop.folder, variables=variables)
    assert (refused.code, refused.stdout) == (1, "")
    assert "Traceback" not in refused.stderr
    return refused.stderr


async def test_a_server_starts_once_the_schema_is_there(folder: Path, postgres_database: Database) -> None:
    """R3: it does not change the schema itself, for others may run on it."""
    async with open_shop(folder, ()) as shop:
        refused = await refusal_to_serve(shop, postgres_database)
        migrated = await migrate(folder, postgres_database)
        variables = {"MUSTERD_STORE__URL": postgres_database.dsn, "MUSTERD_STORE__DB_SCHEMA": postgres_database.schema}
        async with shop.serving(**variables), shop.client() as client:
            health = await client.health()
    assert f"the schema '{postgres_database.schema}' lacks 0001_initial" in refused
    assert "run `musterd db migrate` first" in refused
    assert migrated == Finished(code=0, stdout=f"{postgres_database.dsn} is up to date\n", stderr="")
    assert health is HealthStatus.SERVING


async def test_migrating_again_and_at_once_does_it_once(folder: Path, postgres_database: Database) -> None:
    """R3: as when all replicas of a deploy begin with it."""
    ended = await asyncio.gather(*[migrate(folder, postgres_database) for _ in range(4)])
    ended.append(await migrate(folder, postgres_database))
    assert {(each.code, each.stderr) for each in ended} == {(0, "")}
    names = [row["name"] for row in await query(postgres_database, "SELECT name FROM migration ORDER BY number")]
    assert names[0] == "0001_initial"
    assert len(names) == len(set(names))


async def test_a_schema_of_something_else_is_left_alone(folder: Path, postgres_database: Database) -> None:
    """R3."""
    await query(postgres_database, f"CREATE SCHEMA {quote(postgres_database.schema)}")
    await query(postgres_database, "CREATE TABLE customers (name TEXT)")
    async with open_shop(folder, ()) as shop:
        refused = await refusal_to_serve(shop, postgres_database)
    migrated = await migrate(folder, postgres_database)
    tables = await query(postgres_database, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    assert migrated.code == 1
    assert "something else than musterd: name another" in refused
    assert "something else than musterd: name another" in migrated.stderr
    assert [row["tablename"] for row in tables] == ["customers"]


async def test_no_answer_tells_the_password(folder: Path, postgres_database: Database) -> None:
    """R3."""
    parts = urlsplit(postgres_database.dsn)
    url = parts._replace(netloc=f"musterd:hunter2@{parts.netloc.rpartition('@')[2]}").geturl()
    migrated = await migrate(folder, postgres_database, url=url)
    away = await migrate(folder, postgres_database, url="postgresql://musterd:hunter2@127.0.0.1:1/postgres")
    assert (migrated.code, away.code) == (0, 1)
    assert "the PostgreSQL database cannot be opened" in away.stderr
    for each in (migrated, away):
        assert "hunter2" not in each.stdout + each.stderr
        assert "Traceback" not in each.stderr


async def test_an_sqlite_file_needs_no_migration_by_hand(folder: Path) -> None:
    """R3."""
    refused = await finish("musterd", "db", "migrate", folder=folder, variables={})
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "the database was not migrated: sqlite:///musterd.db is no PostgreSQL database; "
        "`musterd serve` migrates SQLite files itself\n"
    )
    assert not (folder / "musterd.db").exists()
