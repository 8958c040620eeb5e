"""What does not grow: the work of a query with the number of tasks, and the space of equal inputs."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.values import ADMIN, ANNA, ANNA_ELSEWHERE, GREETER, OWNER, make_root, make_spec, start

from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.task import Part, TaskState
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.store.sqlite import SqliteStore
from musterd.store.sqlite.claiming import FIND_CLAIMABLE
from musterd.store.sqlite.listing import build_statement

QUERY = TaskQuery(viewer=ANNA, limit=10)
ENDED = frozenset((TaskState.COMPLETED, TaskState.FAILED))


async def open_store(path: Path) -> SqliteStore:
    """Return an open store."""
    store = SqliteStore(path)
    await store.open(lambda _: None)
    return store


def count_steps(connection: sqlite3.Connection, statement: str, parameters: Sequence[object]) -> int:
    """Return how many steps of its machine SQLite takes for a statement."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.set_progress_handler(count, 1)
    connection.execute(statement, parameters).fetchall()
    connection.set_progress_handler(None, 1)
    return steps


async def count_with_few_and_many(path: Path, statement: str, parameters: Sequence[object]) -> list[int]:
    """Return the steps of a statement with 20 and with 520 tasks, of which it never finds more than ten."""
    steps: list[int] = []
    store = await open_store(path)
    with closing(sqlite3.connect(path)) as connection:
        for count in (20, 500):
            new = [make_root(spec=make_spec(session_id="s1")) for _ in range(count)]
            await asyncio.gather(*map(store.create_task, new))
            # The first time the schema is read too.
            connection.execute(statement, parameters).fetchall()
            steps.append(count_steps(connection, statement, parameters))
    await store.close()
    return steps


@pytest.mark.parametrize("viewer", [ANNA, ADMIN], ids=["user", "administrator"])
@pytest.mark.parametrize(
    "query",
    [
        QUERY,
        replace(QUERY, states=frozenset((TaskState.WORKING,))),
        replace(QUERY, states=ENDED),
        replace(QUERY, states=ENDED | {TaskState.WORKING}),
        replace(QUERY, component=GREETER),
        replace(QUERY, session_id="s1"),
    ],
    ids=["all", "state", "no such state", "states", "component", "session"],
)
async def test_a_page_costs_the_same_with_few_and_with_many_tasks(path: Path, query: TaskQuery, viewer: Viewer) -> None:
    """R4."""
    few, many = await count_with_few_and_many(path, *build_statement(replace(query, viewer=viewer)))
    assert few == many


async def test_a_look_for_work_that_finds_nothing_costs_the_same_with_many_tasks(path: Path) -> None:
    """R9."""
    few, many = await count_with_few_and_many(path, FIND_CLAIMABLE, (OWNER, 10))
    assert few == many


async def test_equal_large_parts_of_one_tenant_are_stored_once(path: Path) -> None:
    """C9."""
    large = b"\x00\xff" * INLINE_PART_MAX_BYTES
    parts = (Part(data=large), Part(data=large[:INLINE_PART_MAX_BYTES]), Part(data=large))
    store = await open_store(path)
    for viewer in (ANNA, ANNA, ANNA_ELSEWHERE):
        await start(store, make_root(spec=make_spec(viewer, parts=parts)))
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT tenant_id, length(data) FROM blob ORDER BY tenant_id").fetchall()
    assert kept == [("acme", len(large)), ("umbrella", len(large))]
