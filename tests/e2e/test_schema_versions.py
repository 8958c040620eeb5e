"""Two versions on one database: the older one works on what a migration of the newer one added, and on nothing less."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.reading import is_dense, log_of
from tests.e2e.shop import APPS, Shop, open_shop
from tests.support.processes import Finished, finish

import musterd
from musterd.store.postgres.connection import Database
from musterd.testing.model import ChatRequest, Turn, call, text
from musterd_client import TaskCompleted

EXPANDS = """-- expands
ALTER TABLE task ADD COLUMN mood TEXT;
ALTER TABLE tree ADD COLUMN season TEXT DEFAULT 'spring';
CREATE TABLE visitor (name TEXT PRIMARY KEY);
CREATE INDEX task_by_mood ON task (mood) WHERE mood IS NOT NULL;
"""
CONTRACTS = """-- contracts: needs 0002
ALTER TABLE task RENAME COLUMN labels TO tags;
"""


def answer(request: ChatRequest) -> Turn:
    """Call a tool that waits at a gate, then say so."""
    return text("done") if request.tool_results else call("charge", {"order_id": "17"})


def next_version(folder: Path, migration: str) -> Mapping[str, str]:
    """Make a version of musterd with one migration more, and return the variables of a process that runs it."""
    package = Path(musterd.__file__).parent
    copied = folder / "next" / "musterd"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("__pycache__"))
    for adapter in ("sqlite", "postgres"):
        (copied / "store" / adapter / "migrations" / "0002_next.sql").write_text(migration)
    return {"PYTHONPATH": os.pathsep.join((str(copied.parent), str(APPS)))}


def store_of(database: Database) -> Mapping[str, str]:
    """Return the variables of a process that uses a database."""
    return {"MUSTERD_STORE__URL": database.dsn, "MUSTERD_STORE__DB_SCHEMA": database.schema}


async def migrate(shop: Shop, variables: Mapping[str, str]) -> Finished:
    """Run `musterd db migrate`."""
    return await finish("musterd", "db", "migrate", folder=shop.folder, variables=variables)


async def refusal_to_serve(shop: Shop, variables: Mapping[str, str]) -> str:
    """Return why a server does not start."""
    refused = await finish(
        "musterd", "serve", "shop:app", folder=shop.folder, variables={**shop.variables, **variables}
    )
    assert (refused.code, refused.stdout) == (1, "")
    assert "Traceback" not in refused.stderr
    return refused.stderr


async def charge(shop: Shop) -> None:
    """Run an agent whose tool waits for nothing, and hold that its log is whole."""
    async with shop.client() as client:
        shop.gates.release("charge")
        task = await client.run_agent("clerk", "charge me", background=True).start()
        log = await log_of(client, task.task_id)
    assert is_dense(log)
    assert isinstance(log[-1], TaskCompleted)


async def test_a_running_server_goes_on_while_a_newer_version_adds_to_the_schema(
    folder: Path, postgres_database: Database
) -> None:
    """R3: its runs too; it starts again on what was added, as the newer version does."""
    store, newer = store_of(postgres_database), next_version(folder, EXPANDS)
    async with open_shop(folder, answer) as shop, shop.client() as client:
        assert (await migrate(shop, store)).code == 0
        async with shop.serving(**store):
            task = await client.run_agent("clerk", "charge me", background=True).start()
            await shop.gates.reached("charge")
            assert (await migrate(shop, {**store, **newer})).code == 0
            shop.gates.release("charge")
            log = await log_of(client, task.task_id)
            assert is_dense(log)
            assert isinstance(log[-1], TaskCompleted)
            await charge(shop)
        for variables in (store, {**store, **newer}, store):
            async with shop.serving(**variables):
                assert await log_of(client, task.task_id) == log
                await charge(shop)
        again = await migrate(shop, store)
    assert (again.code, again.stderr) == (0, "")


async def test_a_newer_version_waits_for_its_migration(folder: Path, postgres_database: Database) -> None:
    """R3."""
    store, newer = store_of(postgres_database), next_version(folder, EXPANDS)
    async with open_shop(folder, ()) as shop:
        assert (await migrate(shop, store)).code == 0
        refused = await refusal_to_serve(shop, {**store, **newer})
    assert "lacks 0002_next: run `musterd db migrate` first" in refused


async def test_an_older_version_does_not_start_without_what_a_newer_one_took_away(
    folder: Path, postgres_database: Database
) -> None:
    """R3."""
    store, newer = store_of(postgres_database), next_version(folder, CONTRACTS)
    async with open_shop(folder, ()) as shop:
        assert (await migrate(shop, {**store, **newer})).code == 0
        refused = await refusal_to_serve(shop, store)
        again = await migrate(shop, store)
    for said in (refused, again.stderr):
        assert "the database has had the migration 0002_next, and this version of musterd does not know it" in said
        assert "upgrade the server to the version that made it, or a newer one" in said
    assert (again.code, again.stdout) == (1, "")


async def test_an_older_version_serves_a_file_that_a_newer_one_added_to(folder: Path) -> None:
    """R3."""
    nothing: Mapping[str, str] = {}
    newer = next_version(folder, EXPANDS)
    async with open_shop(folder, answer) as shop:
        for variables in (nothing, newer, nothing, newer):
            async with shop.serving(**variables):
                await charge(shop)
                async with shop.client() as client:
                    tasks = [task async for task in client.tasks.list()]
    assert len(tasks) == 4


async def test_an_older_version_refuses_a_file_that_a_newer_one_took_something_from(folder: Path) -> None:
    """R3."""
    newer = next_version(folder, "-- contracts: needs 0002\nCREATE TABLE visitor (name TEXT);\n")
    async with open_shop(folder, ()) as shop:
        async with shop.serving(**newer):
            pass
        refused = await refusal_to_serve(shop, {})
    assert "the database has had the migration 0002_next" in refused
    assert "upgrade the server" in refused
