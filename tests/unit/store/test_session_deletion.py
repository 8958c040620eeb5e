"""What is left in the tables when a session is deleted, the same in every store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.approving import ask_one
from tests.contract.hooking import make_hook_run
from tests.contract.questioning import ask
from tests.contract.sessions import add, make_run, session
from tests.contract.teams import OPEN, send
from tests.contract.values import (
    ANNA,
    BERT,
    complete,
    make_child,
    make_key,
    make_spec,
    make_steer,
    say,
    start,
)
from tests.unit.store.retaining import Clock, Place, PostgresPlace, SqlitePlace, World

from musterd.domain.session import SessionKey
from musterd.domain.step import ModelStep, ToolStatus, ToolStep
from musterd.domain.task import Part
from musterd.domain.team_board import AddTodo
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.store.retention import BATCH_ROWS

LARGE = Part(media_type="image/png", data=b"x" * (INLINE_PART_MAX_BYTES + 1))
OF_THE_SERVER = {"migration", "replica"}
"""Tables that are about no task."""


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "musterd.db")
    return PostgresPlace(request.getfixturevalue("postgres_database"))


@pytest.fixture
async def world(place: Place) -> AsyncIterator[World]:
    clock = Clock()
    store = place.store(clock, None)
    await store.open(lambda _: None)
    yield World(store, clock, place)
    await store.close()


async def count_all(world: World) -> dict[str, int]:
    """Return how many rows there are in every table that has any, whatever its name."""
    tables = {table for table, _ in await world.place.columns() if not table.startswith("sqlite_")} - OF_THE_SERVER
    return dict(await world.count(*sorted(tables)))


async def leave_all(world: World, key: SessionKey) -> None:
    """Let a run of a session leave rows in every table, and end."""
    store = world.store
    new = make_run(key, request_id=f"r-{key.user_id}")
    task = await start(store, replace(new, spec=replace(new.spec, parts=(LARGE, LARGE))))
    await store.change_board(task.task_id, OPEN)
    await store.change_board(task.task_id, AddTodo(todo_id="a", content="dig"))
    await send(store, task)
    viewer = BERT if key.user_id == "bert" else ANNA
    await store.add_steer(viewer, make_steer(task), make_key("s", viewer=viewer, method="SteerTask"))
    await ask(store, task)
    await ask_one(store, task)
    step = ModelStep(step=1, response_json=b"{}")
    call = ToolStep(step=1, tool_call_id="c", tool_name="dig", status=ToolStatus.STARTED)
    await store.write([replace(say(task), steps=(step, call))])
    child = replace(make_child(task, viewer=viewer), spec=make_spec(viewer, session_id=key.session_id))
    await store.write([complete(await start(store, child))])
    await store.write([replace(add(task), hook_runs=(make_hook_run(),))])


async def test_nothing_is_left_of_a_session_that_is_deleted(world: World) -> None:
    """N1: in no table at all; each of them had something before."""
    await leave_all(world, session())
    before = await count_all(world)
    tables = {table for table, column in await world.place.columns() if column == "tenant_id"}
    assert tables | {"event", "session_entry"} <= before.keys()
    await world.store.delete_session(session())
    assert await count_all(world) == {}


async def test_all_is_left_of_another_user_s(world: World) -> None:
    """N1, I5: of the same name, and with the same large part."""
    await leave_all(world, session(BERT))
    before = await count_all(world)
    await leave_all(world, session())
    await world.store.delete_session(session())
    assert await count_all(world) == before
    assert await world.place.query("SELECT uses FROM blob") == [(2,)]


async def test_what_deletes_in_batches_elsewhere_deletes_all_at_once_here(world: World) -> None:
    """N1: a run with more rows of one kind than a batch has."""
    task = await start(world.store, make_run())
    steps = tuple(ModelStep(step=number, response_json=b"{}") for number in range(BATCH_ROWS + 1))
    await world.store.write([replace(say(task), steps=steps)])
    await world.store.write([add(task)])
    await world.store.delete_session(session())
    assert await count_all(world) == {}
