"""Children in the queue: who waits for others holds no slot, so nobody waits for ever."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic_ai import Agent
from tests.support.doors import Doors, delegating, subagent
from tests.support.followers import Follower
from tests.support.gated_model import Gate, saying

from musterd import Musterd
from musterd.domain.full_store import FullStore
from musterd.domain.ports import Created, NewTask
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client import CancelMode, MusterdClient, Task, TaskState, ToolCallCompleted

ONE_SLOT = {"max_running_tasks": 1}
LEAF = subagent("leaf", Agent(saying("leaf is done"), name="leaf"))


async def tree_of(client: MusterdClient, root_task_id: str) -> list[Task]:
    return [task async for task in client.tasks.list(root_task_id=root_task_id)]


async def test_a_parent_and_its_child_share_the_only_slot() -> None:
    """R9, S13."""
    async with serve(Musterd(agents=[delegating("boss", LEAF)]), runtime=ONE_SLOT) as client:
        result = await client.run_agent("boss", "go").result()
        tasks = await tree_of(client, result.task.task_id)
    assert result.text == "boss is done"
    assert [task.state for task in tasks] == [TaskState.COMPLETED] * 2


async def test_two_levels_share_the_only_slot() -> None:
    """R9, S13."""
    middle = subagent("middle", delegating("middle", LEAF))
    app = Musterd(agents=[delegating("boss", middle, nesting=1)])
    async with serve(app, runtime=ONE_SLOT) as client:
        result = await client.run_agent("boss", "go").result()
        tasks = await tree_of(client, result.task.task_id)
    assert result.text == "boss is done"
    assert sorted(task.output.text for task in tasks if task.output is not None) == [
        "boss is done",
        "leaf is done",
        "middle is done",
    ]


@pytest.mark.parametrize("cap", [1, 2])
async def test_twenty_parents_share_few_slots(cap: int) -> None:
    """R9, S13: they and their children come to an end, however full it is."""
    async with serve(Musterd(agents=[delegating("boss", LEAF)]), runtime={"max_running_tasks": cap}) as client:
        results = await asyncio.gather(*[client.run_agent("boss", "go").result() for _ in range(20)])
        trees = [await tree_of(client, result.task.task_id) for result in results]
    assert {result.text for result in results} == {"boss is done"}
    assert all([task.state for task in tree] == [TaskState.COMPLETED] * 2 for tree in trees)


async def test_no_more_children_run_than_there_are_slots() -> None:
    """R9, S13."""
    doors = Doors()
    await doors.let_all_in()
    worker = subagent("worker", Agent(doors.model, name="worker"))
    async with serve(Musterd(agents=[delegating("boss", worker)]), runtime={"max_running_tasks": 3}) as client:
        results = await asyncio.gather(*[client.run_agent("boss", "go").result() for _ in range(12)])
    assert {result.text for result in results} == {"boss is done"}
    assert len(doors.order) == 12
    assert doors.most_at_once <= 3


async def test_a_child_that_finds_the_queue_full_is_refused_and_its_parent_is_told() -> None:
    """R9, S13 (refusal): the run goes on without it."""
    app = Musterd(agents=[delegating("boss", LEAF)])
    async with serve(app, runtime={"max_running_tasks": 1, "max_queued_tasks": 0}) as client:
        async with client.run_agent("boss", "go") as run:
            told = [event async for event in run if isinstance(event, ToolCallCompleted)]
        assert [event.result_json for event in told] == ['"Error: 0 tasks wait already, and no more may; try again"']
        assert len(await tree_of(client, run.task.task_id)) == 1


async def test_a_canceled_parent_takes_its_queued_child_with_it() -> None:
    """R5, S13: the child never runs, and both end once."""
    doors = Doors()
    worker = subagent("worker", Agent(doors.model, name="worker"))
    app = Musterd(agents=[delegating("boss", worker), Agent(doors.model, name="guest")])
    async with serve(app, runtime=ONE_SLOT) as client:
        root = await client.run_agent("boss", "go", background=True).start()
        await doors.came_in_all(1)
        guest = await client.run_agent("guest", "guest", background=True).start()
        second = await client.run_agent("boss", "go", background=True).start()
        await client.tasks.cancel(second.task_id, mode=CancelMode.HARD)
        canceled = await client.tasks.cancel(root.task_id, mode=CancelMode.HARD)
        await doors.came("guest")
        await doors.let_all_in()
        await client.tasks.wait([guest.task_id])
        trees = [await tree_of(client, task_id) for task_id in (root.task_id, second.task_id)]
    assert canceled.task.state is TaskState.CANCELED
    assert [[task.state for task in tree] for tree in trees] == [[TaskState.CANCELED] * 2, [TaskState.CANCELED]]


async def test_a_tree_in_the_queue_goes_on_after_a_restart_with_the_only_slot(tmp_path: Path) -> None:
    """R11, R9, S3: parents that wait are taken up again, wait again, and each child runs once."""
    doors, later = Doors(), Doors()
    await later.let_all_in()

    def app_of(behind: Doors) -> Musterd:
        return Musterd(agents=[delegating("boss", subagent("worker", Agent(behind.model, name="worker")))])

    async with serve(app_of(doors), folder=tmp_path, runtime=ONE_SLOT) as client:
        ids = [(await client.run_agent("boss", "go", background=True).start()).task_id for _ in range(4)]
        await doors.came_in_all(1)
    async with serve(app_of(later), folder=tmp_path, runtime=ONE_SLOT) as client:
        ended = (await client.tasks.wait(ids, timeout_seconds=60)).tasks
        trees = [await tree_of(client, task_id) for task_id in ids]
    assert [task.state for task in ended] == [TaskState.COMPLETED] * 4
    assert [len(tree) for tree in trees] == [2] * 4
    assert len(later.order) == 4
    assert later.most_at_once == 1


class HoldingStore:
    """A store whose answer to whoever stores a child comes when a gate is open."""

    def __init__(self, store: FullStore, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create_task(self, new: NewTask) -> Created:
        created = await self._store.create_task(new)
        if new.parent_task_id:
            await self._gate.wait()
        return created


@pytest.mark.parametrize("cap", [1, 2])
async def test_a_parent_that_is_canceled_while_its_child_is_stored_leaves_no_child_behind(
    tmp_path: Path, cap: int
) -> None:
    """R5, S13: whether the child has room or is queued."""
    doors, gate = Doors(), Gate()
    worker = subagent("worker", Agent(doors.model, name="worker"))
    store = cast("FullStore", HoldingStore(SqliteStore(tmp_path / "held.db"), gate))
    app = Musterd(agents=[delegating("boss", worker)])
    async with serve(app, store=store, runtime={"max_running_tasks": cap}) as client:
        async with Follower(client.run_agent("boss", "go")) as follower:
            root_task_id = (await follower.seen(lambda event: event.kind == "task_started")).task_id
            await gate.reached.wait()
            canceling = asyncio.create_task(client.tasks.cancel(root_task_id, mode=CancelMode.HARD))
            await follower.seen(lambda event: event.kind == "cancel_requested")
            gate.open()
            await canceling
            ends = [event.task_id for event in await follower.ended() if event.kind == "task_canceled"]
        tree = await tree_of(client, root_task_id)
    assert [task.state for task in tree] == [TaskState.CANCELED] * 2
    assert ends == [task.task_id for task in tree]
