"""What the stores do about hooks that only the planner, or a row that is spoiled, shows."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.contract.hooking import claim_hooks, end_with, make_hook_run
from tests.contract.values import ADMIN, ANNA
from tests.unit.store.test_approvals import check_plan

from musterd.domain.hook_run import HookRunState
from musterd.domain.hook_store import HookQuery
from musterd.domain.principal import Viewer
from musterd.store.postgres import PostgresStore, hook_runs
from musterd.store.postgres.connection import Database, Row
from musterd.store.postgres.statements import load_statement
from musterd.store.sqlite import SqliteStore

OF_HOOKS = (
    "finish_hook_run",
    "has_log",
    "insert_hook_runs",
    "read_hook_payloads",
    "read_hook_run",
    "retry_hook_run",
    "take_hook_runs",
)


@pytest.mark.parametrize("name", OF_HOOKS)
async def test_postgres_finds_hooks_along_an_index(postgres_database: Database, name: str) -> None:
    """H4: in empty tables too, where each index looks as good as the others."""
    await check_plan(postgres_database, load_statement(name))


async def test_postgres_looks_for_work_along_the_indexes_of_what_is_left(postgres_database: Database) -> None:
    """H4: a look that finds nothing costs the same with any number of hooks that are over."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    await store.close()
    connection = await postgres_database.connect()
    try:
        for name, indexes in (
            ("find_due_hook_runs", {"hook_run_running", "hook_run_pending"}),
            ("read_next_hook_time", {"hook_run_pending"}),
        ):
            await connection.execute(f"PREPARE {name} AS {load_statement(name)}")
            arguments = "(NULL, NULL, NULL, NULL)" if name == "find_due_hook_runs" else ""
            plan = [row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE {name} {arguments}")]
            assert {one for one in indexes if any(one in line for line in plan)} == indexes, plan
            assert not any("Seq Scan" in line for line in plan), plan
    finally:
        await connection.close()


class Listening:
    """A connection that only remembers what it is asked."""

    def __init__(self) -> None:
        self.statement = ""

    async def fetch(self, query: str, /, *arguments: object) -> list[Row]:
        del arguments
        self.statement = query
        return []

    async def fetchrow(self, query: str, /, *arguments: object) -> Row | None:
        raise NotImplementedError

    async def fetchval(self, query: str, /, *arguments: object) -> object:
        raise NotImplementedError

    async def execute(self, query: str, /, *arguments: object) -> str:
        raise NotImplementedError


@pytest.mark.parametrize("viewer", [ANNA, ADMIN], ids=["user", "admin"])
@pytest.mark.parametrize("state", [None, *HookRunState])
@pytest.mark.parametrize("task_id", ["", "one"])
async def test_postgres_lists_hooks_along_the_index_that_fits(
    postgres_database: Database, viewer: Viewer, state: HookRunState | None, task_id: str
) -> None:
    """H4."""
    listening = Listening()
    states = frozenset(() if state is None else (state,))
    await hook_runs.list_hook_runs(listening, HookQuery(viewer=viewer, limit=9, states=states, task_id=task_id))
    lines = "\n".join(await check_plan(postgres_database, listening.statement))
    by_user, by_tenant = ("user", "tenant") if state in (None, HookRunState.COMPLETED) else ("user_state", "state")
    expected = "task" if task_id else by_user if viewer is ANNA else by_tenant
    assert f"using hook_run_by_{expected} " in lines, lines


SPOILING = (
    "UPDATE task_spec SET format = 99 WHERE task = (SELECT min(number) FROM task)",
    "UPDATE task SET error = '{}' WHERE number = (SELECT min(number) FROM task)",
)


@pytest.mark.parametrize("spoiling", SPOILING, ids=["its spec", "its end"])
async def test_a_hook_whose_task_cannot_be_read_any_more_is_dead(tmp_path: Path, spoiling: str) -> None:
    """H4: left as it is, it would stop every later claim."""
    store = SqliteStore(tmp_path / "a.db")
    await store.open(lambda _: None)
    await end_with(store, spoiled := make_hook_run())
    await end_with(store, sound := make_hook_run())
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute(spoiling)
    claimed = await claim_hooks(store)
    dead = await store.get_hook_run(ANNA, spoiled.hook_run_id)
    await store.close()
    assert [one.run.hook_run_id for one in claimed] == [sound.hook_run_id]
    assert (dead.state, dead.attempts) == (HookRunState.DEAD, 1)
    assert dead.error == "this version of the server cannot read the task of the hook"


@pytest.mark.parametrize("spoiling", SPOILING, ids=["its spec", "its end"])
async def test_postgres_has_the_same_end_for_a_hook_that_cannot_be_read(
    postgres_database: Database, spoiling: str
) -> None:
    """H4."""
    store = PostgresStore(postgres_database)
    await store.open(lambda _: None)
    await end_with(store, spoiled := make_hook_run())
    await end_with(store, sound := make_hook_run())
    connection = await postgres_database.connect()
    await connection.execute(spoiling)
    await connection.close()
    assert [one.run.hook_run_id for one in await claim_hooks(store)] == [sound.hook_run_id]
    dead = await store.get_hook_run(ANNA, spoiled.hook_run_id)
    await store.close()
    assert (dead.state, dead.attempts) == (HookRunState.DEAD, 1)
