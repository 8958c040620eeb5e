"""What the queue costs those who do not need it: nothing."""

import asyncio
from pathlib import Path
from typing import cast

from pydantic_ai import Agent
from tests.support.counting_store import CountingStore
from tests.support.doors import Doors
from tests.support.gated_model import saying

from musterd import Musterd
from musterd.domain.full_store import FullStore
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve

QUEUE = ("claim", "has_claimable", "count_queued")


def make_store(folder: Path) -> CountingStore:
    return CountingStore(SqliteStore(folder / "counted.db"))


async def test_runs_that_find_room_ask_the_store_nothing_for_the_queue_s_sake(tmp_path: Path) -> None:
    """R9: one look when the server starts, and none after it, however many runs come and go."""
    store = make_store(tmp_path)
    app = Musterd(agents=[Agent(saying("hi"), name="guest")])
    async with serve(app, store=cast("FullStore", store)) as client:
        await client.run_agent("guest", "warm up").result()
        store.calls.clear()
        await asyncio.gather(*[client.run_agent("guest", "go").result() for _ in range(10)])
        after = store.calls.copy()
    assert after["create_task"] == 10
    assert after.keys() <= {"create_task", "write", "find_request", "now"}


async def test_what_has_to_wait_costs_no_look_before_there_is_room(tmp_path: Path) -> None:
    """R9: a burst that queues looks through the queue only when a slot is given back."""
    store, doors = make_store(tmp_path), Doors()
    app = Musterd(agents=[Agent(doors.model, name="guest")])
    async with serve(app, store=cast("FullStore", store), runtime={"max_running_tasks": 2}) as client:
        for name in ("a", "b"):
            await client.run_agent("guest", name, background=True).start()
        await doors.came("a", "b")
        store.calls.clear()
        for number in range(20):
            await client.run_agent("guest", f"{number}", background=True).start()
        assert all(store.calls[name] == 0 for name in QUEUE)
        await doors.let_in("a")
        await doors.came("0")
        assert store.calls["claim"] == 1
        await doors.let_all_in()
        await doors.came_in_all(22)


async def test_a_queue_that_is_empty_again_is_forgotten(tmp_path: Path) -> None:
    """R9: once all that waited runs, new runs cost what they did before."""
    store, doors = make_store(tmp_path), Doors()
    app = Musterd(agents=[Agent(doors.model, name="guest"), Agent(saying("hi"), name="quick")])
    async with serve(app, store=cast("FullStore", store), runtime={"max_running_tasks": 2}) as client:
        ids = [(await client.run_agent("guest", name, background=True).start()).task_id for name in ("a", "b", "c")]
        await doors.let_all_in()
        await client.tasks.wait(ids)
        for _ in range(3):
            await client.run_agent("quick", "go").result()
        store.calls.clear()
        for _ in range(5):
            await client.run_agent("quick", "go").result()
        assert all(store.calls[name] == 0 for name in QUEUE)
