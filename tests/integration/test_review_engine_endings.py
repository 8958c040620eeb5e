"""How runs end when something else goes wrong at the same time: all below them ends first, and nothing is forgotten."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic_ai import Agent
from pydantic_ai.output import TextOutput
from tests.support.actors import Actor, Reading, add_todo, steps
from tests.support.clocks import DrivenClock
from tests.support.doors import Doors
from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import saying
from tests.support.runtime_kernel import Kernel
from tests.support.stage import Stage, at, do, pause, task
from tests.support.trees import endings_in, log_of, only_child_of

from musterd import Musterd, Team
from musterd.domain.event import TerminalEvent
from musterd.domain.orders import CancelOrder
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Task, TaskState
from musterd.runtime.runs import RunRequest
from musterd.testing import serve
from musterd_client import CancelMode, TaskCanceled, TaskFailed
from musterd_client import TaskState as ClientState

VIEWER = Viewer(tenant_id="acme", user_id="ada")
TERMINAL = get_args(TerminalEvent)
BOSS = ComponentRef(kind=ComponentKind.AGENT, id="boss")
ORDER = CancelOrder(hard=True, grace_seconds=0.0, reason="enough", cascade=True, user_id="ada")


async def begin(kernel: Kernel, message: str, component: ComponentRef = BOSS, **more: Any) -> str:
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    started = await kernel.runs.start(RunRequest(component=component, identity=identity, message=message, **more))
    kernel.hub.leave(started.follower)
    return started.task.task_id


async def ended(kernel: Kernel, task_id: str) -> Task:
    waited = await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=GUARD_SECONDS)
    assert not waited.timed_out
    return waited.tasks[0]


@asynccontextmanager
async def living(app: Musterd, folder: Path, **more: Any) -> AsyncGenerator[Kernel]:
    """Run a kernel that goes down in order."""
    kernel = Kernel(app, folder / "musterd.db", **more)
    await kernel.start()
    try:
        yield kernel
    finally:
        await kernel.stop()


async def test_a_task_that_cannot_go_on_takes_its_children_with_it(tmp_path: Path) -> None:
    """S13, R3: after a crash its tool may not be repeated, and nobody would read what they bring."""
    plan = do(task(do(at("work"), "never said")), pause("boss"))
    stage = Stage()
    async with serve(stage.app(), folder=tmp_path) as client, client.run_agent("boss", plan) as run:
        await stage.gates["boss"].reached.wait()
        await stage.gates["work"].reached.wait()
        root = run.task.task_id
    one_at_a_time = {"max_running_tasks": 1}
    async with serve(Stage().app(), folder=tmp_path, runtime=one_at_a_time) as client:
        lost = (await client.tasks.wait([root])).tasks[0]
        child = await only_child_of(client, root)
        assert child.state is ClientState.CANCELED
        log = await log_of(client, root)
    assert (lost.state, lost.error.reason if lost.error else "") == (ClientState.FAILED, "TASK_LOST")
    assert [type(event) for event in log if isinstance(event, TaskCanceled | TaskFailed)] == [TaskCanceled, TaskFailed]
    assert sum(endings_in(log).values()) == 2


async def half_done(folder: Path, **more: Any) -> tuple[Kernel, str]:
    """Return a kernel and a run that has one request behind it, and is in its second."""
    stage = Stage()
    kernel = Kernel(stage.app(), folder / "musterd.db")
    await kernel.start()
    task_id = await begin(kernel, do(("list_active_tasks", {}), at("end"), "never said"), **more)
    await stage.gates["end"].reached.wait()
    assert (await kernel.tasks.get(VIEWER, task_id)).usage.requests == 1
    return kernel, task_id


async def test_a_run_that_was_canceled_when_the_server_died_keeps_what_it_spent(tmp_path: Path) -> None:
    """R10, R5: the next process ends it at once, and plays none of its steps again."""
    dying, task_id = await half_done(tmp_path)
    await dying.real_store.request_cancel(VIEWER, task_id, ORDER, None)
    await dying.die()
    async with living(Stage().app(), tmp_path) as kernel:
        canceled = await ended(kernel, task_id)
    assert canceled.state is TaskState.CANCELED
    assert canceled.usage.requests == 1
    assert canceled.tree_usage is not None
    assert canceled.tree_usage.requests == 1


async def test_a_run_whose_time_was_over_when_the_server_died_keeps_what_it_spent(tmp_path: Path) -> None:
    """R10, R6."""
    dying, task_id = await half_done(tmp_path, run_timeout_seconds=60.0)
    await dying.die()
    later = datetime.now(UTC) + timedelta(hours=1)
    async with living(Stage().app(), tmp_path, stored_time=lambda: later) as kernel:
        late = await ended(kernel, task_id)
    assert late.state is TaskState.FAILED
    assert late.error is not None
    assert late.error.reason == "RUN_TIMEOUT"
    assert late.usage.requests == 1


@pytest.mark.parametrize("mode", ["tasks", "broadcast"])
async def test_a_team_that_waits_is_canceled_at_once_on_a_full_server(mode: Any) -> None:
    """R5, R9: it needs no slot to end."""
    doors = Doors()
    lead = steps([add_todo("cut")], "planned") if mode == "tasks" else Actor(_silent)
    crew = Team("crew", [Actor(_silent).member("ann")], model=lead.model, mode=mode)
    app = Musterd(agents=[Agent(doors.model, name="guest")], teams=[crew])
    async with serve(app, clock=DrivenClock(), runtime={"max_running_tasks": 1}) as client:
        first = await client.run_agent("guest", "first", background=True).start()
        await doors.came("first")
        team = await client.run_team("crew", "a chair", background=True).start()
        second = await client.run_agent("guest", "second", background=True).start()
        await doors.let_in("first")
        await doors.came("second")
        assert (await client.tasks.status(team.task_id)).state is ClientState.WORKING
        await client.tasks.cancel(team.task_id, mode=CancelMode.HARD)
        waited = await client.tasks.wait([team.task_id], timeout_seconds=10)
        assert not waited.timed_out
        assert waited.tasks[0].state is ClientState.CANCELED
        await doors.let_all_in()
        await client.tasks.wait([first.task_id, second.task_id])


async def _silent(_: Reading) -> str:
    return "done"


def _spoil(text: str) -> str:
    return f"{text}\ud800"


async def test_a_run_whose_output_no_store_can_hold_fails(tmp_path: Path) -> None:
    """R1 (refusal): half of a surrogate pair is no text that can be written."""
    agent = Agent(saying("hello"), name="boss", output_type=TextOutput(_spoil))
    async with living(Musterd(agents=[agent]), tmp_path) as kernel:
        task_id = await begin(kernel, "go")
        failed = await ended(kernel, task_id)
        log = await kernel.log_of(task_id)
    assert failed.error is not None
    assert (failed.state, failed.error.reason) == (TaskState.FAILED, "INTERNAL")
    assert sum(isinstance(event.payload, TERMINAL) for event in log) == 1


async def test_a_child_that_was_canceled_softly_ends_before_its_parent() -> None:
    """S13, S9: its grace ends when its parent does."""
    stage = Stage()
    child_plan = do(at("work"), "never said")
    plan = do(task(child_plan), at("boss"), ("soft_cancel_task", {"task_id": "@0"}), "done")
    async with serve(stage.app(), clock=DrivenClock()) as client, client.run_agent("boss", plan) as run:
        await stage.gates["work"].reached.wait()
        stage.gates["boss"].open()
        root = (await run.start()).task_id
        waited = await client.tasks.wait([root], timeout_seconds=5)
        assert not waited.timed_out
        child = await only_child_of(client, root)
        stage.gates["work"].open()
    assert child.state is ClientState.CANCELED
