"""What is removed when, the same in every store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.approving import ask_one
from tests.contract.hooking import claim_hooks, end_with, make_hook_run
from tests.contract.questioning import ask
from tests.contract.teams import OPEN, send
from tests.contract.values import (
    ADMIN,
    ADMIN_ELSEWHERE,
    ANNA,
    ANNA_ELSEWHERE,
    HARD,
    complete,
    make_child,
    make_deltas,
    make_key,
    make_root,
    make_spec,
    make_steer,
    say,
    start,
    write_one,
)
from tests.unit.store.retaining import TABLES, Clock, Place, PostgresPlace, SqlitePlace, World

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.hook_run import HookRunState
from musterd.domain.ports import EventPage, Stored, TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.step import ModelStep, ToolStatus, ToolStep
from musterd.domain.task import Part, Task, TaskState
from musterd.domain.team_board import AddTodo
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.store.retention import BATCH_ROWS, Retention

LARGE = Part(media_type="image/png", data=b"x" * (INLINE_PART_MAX_BYTES + 1))
OTHER_LARGE = Part(media_type="image/png", data=b"y" * (INLINE_PART_MAX_BYTES + 1))
LOGS, TASKS = 10, 20
KEPT = Retention(event_days=LOGS, task_days=TASKS)
OUTLIVING = {"session_entry"}
"""What names a task and is kept without it: the history of a session."""


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, path: Path) -> Place:
    if request.param == "sqlite":
        return SqlitePlace(path)
    return PostgresPlace(request.getfixturevalue("postgres_database"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def world(place: Place, clock: Clock, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Return a store that keeps logs for 10 days and tasks for 20, or as the test says."""
    store = place.store(clock, getattr(request, "param", KEPT))
    await store.open(lambda _: None)
    yield World(store, clock, place)
    await store.close()


async def fill(world: World, viewer: Viewer = ANNA, *, parts: tuple[Part, ...] = (LARGE,)) -> Task:
    """Store rows of every table, and return the task that they are about. It runs on."""
    store = world.store
    request = make_key(f"r{world.clock.now}", viewer=viewer)
    task = await start(store, make_root(viewer, request=request, spec=make_spec(viewer, parts=parts)))
    await store.change_board(task.task_id, OPEN)
    await store.change_board(task.task_id, AddTodo(todo_id="a", content="dig"))
    # One message waits for a member without a task, one is the task's own.
    await send(store, task)
    await store.add_steer(viewer, make_steer(task), make_key("s", viewer=viewer, method="SteerTask"))
    await ask(store, task)
    await ask_one(store, task)
    step = ModelStep(step=1, response_json=b"{}")
    call = ToolStep(step=1, tool_call_id="c", tool_name="dig", status=ToolStatus.STARTED)
    await store.write([replace(say(task), steps=(step, call))])
    return task


async def ended(world: World, viewer: Viewer = ANNA) -> Task:
    """Store a task that ends at once."""
    task = await start(world.store, make_root(viewer))
    assert isinstance(await write_one(world.store, complete(task)), Stored)
    return task


async def is_there(world: World, task: Task, viewer: Viewer = ADMIN) -> bool:
    """Return whether a task can be found."""
    return task.task_id in {one.task_id for one in await world.store.list_tasks(TaskQuery(viewer=viewer, limit=9))}


async def has_log(world: World, task: Task) -> bool:
    """Return whether the log of a tree is whole; else it is all gone, and says so."""
    page = await world.store.read_events(task.root_task_id, 0, 1_000)
    if page.events:
        assert (page.oldest_sequence, len(page.events)) == (1, page.last_sequence)
        return True
    assert page == EventPage(events=(), oldest_sequence=page.last_sequence + 1, last_sequence=page.last_sequence)
    return False


async def test_a_log_goes_first_and_its_task_later(world: World) -> None:
    """R3, R4: a day may be added to a log's time, for those of one day go together."""
    task = await fill(world)
    await world.store.write([replace(complete(task), hook_runs=(make_hook_run(),))])
    assert set(await world.count()) == set(TABLES)
    await world.maintain_after(LOGS - 0.01)
    assert await has_log(world, task)
    before = await world.count()
    await world.maintain_after(1.01)
    assert not await has_log(world, task)
    assert await world.count() == {table: count for table, count in before.items() if table != "event"}
    shown = await world.store.get_task(ANNA, task.task_id)
    assert (shown.state, shown.last_sequence > 1, shown.output) == (TaskState.COMPLETED, True, complete(task).output)
    assert [one.task_id for one in await world.store.list_tasks(TaskQuery(viewer=ANNA, limit=9))] == [task.task_id]
    await world.maintain_after(TASKS - LOGS - 1.01)
    assert await is_there(world, task)
    await world.maintain_after(0.01)
    assert not await is_there(world, task)
    assert await world.count() == {}


async def test_all_that_names_a_task_goes_with_it(world: World) -> None:
    """R3: a table that is new must be in the list, or among those that have a way of their own."""
    naming = {table for table, column in await world.place.columns() if column in {"task", "task_id", "team"}}
    assert naming - {"task", "task_spec", "event"} - OUTLIVING == {rows.split()[0] for rows in world.place.removed}


async def test_a_hook_that_runs_when_its_log_is_gone_writes_no_other(world: World) -> None:
    """H4, R3: what there would be in it has nothing before it."""
    task = await end_with(world.store, make_hook_run())
    await world.maintain_after(LOGS + 1)
    (claimed,) = await claim_hooks(world.store)
    assert await world.store.finish_hook_run(claimed.run.hook_run_id, 1, error=None, retry_seconds=None)
    assert not await has_log(world, task)
    assert (await world.store.get_hook_run(ANNA, claimed.run.hook_run_id)).state is HookRunState.COMPLETED


async def test_a_hook_whose_task_is_removed_while_it_runs_ends_nowhere(world: World) -> None:
    """H4, R3."""
    await end_with(world.store, make_hook_run())
    (claimed,) = await claim_hooks(world.store)
    await world.maintain_after(TASKS + 1)
    assert await world.count() == {}
    assert not await world.store.finish_hook_run(claimed.run.hook_run_id, 1, error=None, retry_seconds=None)


@pytest.mark.parametrize("world", [None, Retention()], indirect=True)
async def test_without_a_retention_nothing_goes(world: World) -> None:
    """R3."""
    task = await ended(world)
    await world.maintain_after(36_500)
    assert await has_log(world, task)


@pytest.mark.parametrize("world", [Retention(event_days=LOGS)], indirect=True)
async def test_logs_may_go_while_tasks_stay(world: World) -> None:
    """R3."""
    task = await ended(world)
    await world.maintain_after(36_500)
    assert (await has_log(world, task), await is_there(world, task)) == (False, True)


@pytest.mark.parametrize("world", [Retention(event_days=LOGS, task_days=LOGS)], indirect=True)
async def test_logs_and_tasks_may_go_together(world: World) -> None:
    """R3."""
    task = await ended(world)
    await world.maintain_after(LOGS)
    assert not await is_there(world, task)
    await world.maintain_after(1)
    assert await world.count() == {}


async def test_time_counts_from_the_end_of_the_whole_tree(world: World) -> None:
    """S13: a child that outlives its parent keeps all of it."""
    root = await start(world.store)
    child = await start(world.store, replace(make_child(root), outlives_parent=True))
    await world.store.write([complete(root)])
    await world.maintain_after(TASKS + 1)
    assert await has_log(world, root)
    await world.store.write([complete(child)])
    await world.maintain_after(LOGS - 0.01)
    assert await has_log(world, root)
    await world.maintain_after(0.02)
    assert not await has_log(world, root)
    await world.maintain_after(TASKS - LOGS - 0.02)
    assert await is_there(world, root)
    await world.maintain_after(0.02)
    assert (await is_there(world, root), await is_there(world, child)) == (False, False)
    assert await world.count() == {}


@pytest.mark.parametrize("state", [TaskState.SUBMITTED, TaskState.CANCELING, TaskState.INPUT_REQUIRED])
async def test_a_tree_that_has_not_ended_stays(world: World, state: TaskState) -> None:
    """R11."""
    task = await start(world.store, make_root(owner=None if state is TaskState.SUBMITTED else "server-1"))
    if state is TaskState.CANCELING:
        await world.store.request_cancel(ANNA, task.task_id, HARD, None)
    if state is TaskState.INPUT_REQUIRED:
        await ask(world.store, task)
    await world.maintain_after(TASKS * 5)
    assert (await world.store.get_task(ANNA, task.task_id)).state is state
    assert await has_log(world, task)


async def test_only_what_is_old_goes_in_every_tenant(world: World) -> None:
    """I5."""
    old, old_elsewhere = await ended(world), await ended(world, ANNA_ELSEWHERE)
    world.clock.pass_days(TASKS - 1)
    young = await ended(world)
    await world.maintain_after(1)
    assert not await is_there(world, old)
    assert not await is_there(world, old_elsewhere, ADMIN_ELSEWHERE)
    assert await is_there(world, young)
    assert await has_log(world, young)
    assert await world.count("tree", "task", "task_spec") == {"tree": 1, "task": 1, "task_spec": 1}


@pytest.mark.parametrize("count", [BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1])
async def test_batches_leave_nothing(world: World, count: int) -> None:
    """R3: neither of the rows of a log or a task, nor of trees."""
    task = await start(world.store)
    await world.store.write([say(task, *make_deltas(count - 2)), complete(task)])
    assert await world.count("event") == {"event": count}
    steps = tuple(ModelStep(step=number, response_json=b"{}") for number in range(count))
    busy = await start(world.store)
    await world.store.write([replace(say(busy), steps=steps)])
    await world.store.write([complete(busy)])
    await asyncio.gather(*[ended(world) for _ in range(count - 2)])
    await world.maintain_after(LOGS + 1)
    assert await world.count("event", "model_step", "tree") == {"model_step": count, "tree": count}
    await world.maintain_after(TASKS - LOGS)
    assert await world.count() == {}


async def test_a_tree_with_many_tasks_goes_whole(world: World) -> None:
    """R3."""
    root = await start(world.store)
    children = [await start(world.store, make_child(root)) for _ in range(BATCH_ROWS)]
    await world.store.write([complete(child) for child in children])
    await world.store.write([complete(root)])
    await world.maintain_after(TASKS)
    assert await world.count() == {}


async def test_a_large_part_goes_with_its_last_task(world: World) -> None:
    """C9: of the same tenant, however often a task has it."""
    first = await start(world.store, make_root(spec=make_spec(parts=(LARGE, LARGE, OTHER_LARGE))))
    elsewhere = await start(world.store, make_root(ANNA_ELSEWHERE, spec=make_spec(ANNA_ELSEWHERE, parts=(LARGE,))))
    await world.store.write([complete(first), complete(elsewhere)])
    world.clock.pass_days(1)
    last = await start(world.store, make_root(spec=make_spec(parts=(LARGE,))))
    await world.store.write([complete(last)])
    assert await world.count("blob") == {"blob": 3}
    await world.maintain_after(TASKS - 1)
    assert await world.place.query("SELECT tenant_id, uses, length(data) FROM blob") == [
        ("acme", 1, INLINE_PART_MAX_BYTES + 1)
    ]
    await world.maintain_after(1)
    assert await world.count() == {}


async def test_a_request_id_is_free_again_once_its_task_is_gone(world: World) -> None:
    """R8: until then it leads to the task."""
    key = make_key("r")
    task = await start(world.store, make_root(request=key))
    await world.store.write([complete(task)])
    await world.maintain_after(TASKS - 0.01)
    found = await world.store.find_request(key)
    assert found is not None
    assert found.task_id == task.task_id
    await world.maintain_after(0.01)
    assert await world.store.find_request(key) is None
    again = make_root(request=key)
    assert (await start(world.store, again)).task_id == again.task_id


async def test_what_was_removed_is_not_remembered(world: World) -> None:
    """R4: even when somebody wrote to the task just before."""
    task = await ended(world)
    with pytest.raises(MusterdError):
        await world.store.change_board(task.task_id, OPEN)
    await world.maintain_after(TASKS)
    with pytest.raises(MusterdError) as refused:
        await world.store.change_board(task.task_id, OPEN)
    assert refused.value.reason is Reason.TASK_NOT_FOUND


async def test_runs_go_on_while_much_is_removed(world: World) -> None:
    """R3: what they write comes between the batches, and is kept."""
    await asyncio.gather(*[ended(world) for _ in range(2 * BATCH_ROWS)])
    world.clock.pass_days(TASKS)
    running = await start(world.store)
    maintaining = asyncio.ensure_future(world.store.maintain())
    written = 0
    while not maintaining.done():
        await world.store.write([say(running, *make_deltas(1))])
        written += 1
    await maintaining
    assert written > 1
    page = await world.store.read_events(running.task_id, 0, 100_000)
    assert [event.sequence for event in page.events] == list(range(1, written + 2))
    assert await world.count("tree", "task") == {"tree": 1, "task": 1}


async def test_maintenance_that_is_cut_off_goes_on_the_next_time(place: Place, clock: Clock) -> None:
    """R3: closing the store does not wait for all that is old."""
    async with AsyncExitStack() as stack:
        for is_last in (False, True):
            store = place.store(clock, KEPT)
            await store.open(lambda _: None)
            stack.push_async_callback(store.close)
            world = World(store, clock, place)
            if not is_last:
                await asyncio.gather(*[ended(world) for _ in range(BATCH_ROWS + 1)])
                clock.pass_days(TASKS)
                maintaining = asyncio.ensure_future(store.maintain())
                # One turn of the loop, in which it begins.
                await asyncio.sleep(0)
                await store.close()
                await asyncio.wait([maintaining])
                with pytest.raises(MusterdError):
                    maintaining.result()
                assert await world.count("tree") == {"tree": BATCH_ROWS + 1}
            else:
                await store.maintain()
                assert await world.count() == {}
