"""Queued tasks in a process that dies: wherever that is, each runs to its end and says once that it started."""

import asyncio
from pathlib import Path

import pytest
from pydantic_ai import Agent
from tests.support.cutting import Cut
from tests.support.doors import Doors, delegating, subagent
from tests.support.runtime_kernel import Kernel

from musterd import Musterd
from musterd.domain.event import TaskCanceled, TaskStarted
from musterd.domain.orders import CancelOrder
from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
NAMES = ("a", "b", "c")


async def make_kernel(database: Path, cut: Cut | None = None) -> Kernel:
    """Start a process with room for one task."""
    doors = Doors()
    await doors.let_all_in()
    app = Musterd(agents=[Agent(doors.model, name="guest")])
    kernel = Kernel(app, database, cut=cut, limits=Limits(max_running_tasks=1))
    await kernel.start()
    return kernel


async def run_all(kernel: Kernel) -> None:
    """Start one run after the other, and return when all have ended."""
    ids: list[str] = []
    for name in NAMES:
        identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
        component = ComponentRef(kind=ComponentKind.AGENT, id="guest")
        started = await kernel.runs.start(RunRequest(component=component, identity=identity, message=name))
        kernel.hub.leave(started.follower)
        ids.append(started.task.task_id)
    assert not (await kernel.tasks.wait(VIEWER, ids, wait_for_any=False, seconds=60)).timed_out


async def live_until_cut(database: Path, cut: Cut) -> bool:
    """Run until the cut. Returns False when all ended before."""
    kernel = await make_kernel(database, cut)
    running, cutting = asyncio.ensure_future(run_all(kernel)), asyncio.ensure_future(cut.happened.wait())
    await asyncio.wait({running, cutting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, cutting):
        task.cancel()
    await asyncio.gather(running, cutting, return_exceptions=True)
    await kernel.die()
    return cut.happened.is_set()


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_what_waits_runs_to_its_end_wherever_the_process_dies(tmp_path: Path, after: bool) -> None:
    """R11, R9, R3."""
    cuts = 0
    while await live_until_cut(database := tmp_path / f"{cuts}.db", Cut(cuts + 1, after=after)):
        cuts += 1
        kernel = await make_kernel(database)
        tasks = await kernel.store.list_tasks(TaskQuery(viewer=VIEWER, limit=10))
        if tasks:
            ids = [task.task_id for task in tasks]
            waited = await kernel.tasks.wait(VIEWER, ids, wait_for_any=False, seconds=60)
            assert {task.state for task in waited.tasks} == {TaskState.COMPLETED}
        for task in tasks:
            log = await kernel.log_of(task.task_id)
            assert [isinstance(event.payload, TaskStarted) for event in log] == [True, *[False] * (len(log) - 1)]
        await kernel.stop()
    assert cuts >= 5


async def test_a_canceled_tree_that_is_taken_up_ends_from_below_with_the_only_slot(tmp_path: Path) -> None:
    """R5, R11, R9: the parent waits for its child without a slot, for the child needs it to end."""
    doors = Doors()
    app = Musterd(agents=[delegating("boss", subagent("worker", Agent(doors.model, name="worker")))])
    first = Kernel(app, tmp_path / "canceled.db")
    await first.start()
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await first.store.now())
    boss = ComponentRef(kind=ComponentKind.AGENT, id="boss")
    started = await first.runs.start(RunRequest(component=boss, identity=identity, message="go"))
    first.hub.leave(started.follower)
    root = started.task
    await doors.came_in_all(1)
    order = CancelOrder(hard=True, grace_seconds=0.0, reason="", cascade=True, user_id="ada")
    # In the store alone: the process dies before it could do anything.
    await first.store.request_cancel(VIEWER, root.task_id, order, None)
    await first.die()
    later = Kernel(app, tmp_path / "canceled.db", limits=Limits(max_running_tasks=1))
    await later.start()
    assert not (await later.tasks.wait(VIEWER, [root.task_id], wait_for_any=False, seconds=60)).timed_out
    ends = [event.task_id for event in await later.log_of(root.task_id) if isinstance(event.payload, TaskCanceled)]
    assert len(ends) == 2
    assert ends[1] == root.task_id
    await later.stop()
