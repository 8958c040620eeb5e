"""Whoever works holds a slot, and whoever waits for others holds none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.runtime_kernel import Kernel
from tests.support.stage import Stage, ask, at, do, task, wait

from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")


class World:
    """A runtime with one agent that delegates."""

    def __init__(self, kernel: Kernel, stage: Stage) -> None:
        self.kernel = kernel
        self.gates = stage.gates

    @property
    def held(self) -> int:
        """How many slots are held."""
        return self.kernel.supervisor.children.slots.held_count

    async def run(self, plan: str) -> str:
        """Start a run, and return its id."""
        identity = Identity(tenant_id="acme", user_id="ada", captured_at=await self.kernel.real_store.now())
        component = ComponentRef(kind=ComponentKind.AGENT, id="boss")
        started = await self.kernel.runs.start(RunRequest(component=component, identity=identity, message=plan))
        self.kernel.hub.leave(started.follower)
        return started.task.task_id

    async def ends(self, task_id: str) -> TaskState:
        waited = await self.kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=30)
        return waited.tasks[0].state


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    stage = Stage()
    kernel = Kernel(stage.app(), tmp_path / "slots.db")
    await kernel.start()
    yield World(kernel, stage)
    await kernel.stop()


async def test_a_run_holds_no_slot_while_it_waits_for_a_child(world: World) -> None:
    """S13, R9: its child holds one."""
    root = await world.run(do(task(do(at("work"), "worked"), "sync")))
    await world.gates["work"].reached.wait()
    assert world.held == 1
    world.gates["work"].open()
    assert await world.ends(root) is TaskState.COMPLETED


async def test_a_run_whose_wait_is_over_holds_its_slot_again(world: World) -> None:
    """S6, R9: also when the wait ended with its time, and the child goes on."""
    root = await world.run(do(task(do(at("work"), "worked")), wait("@0", timeout=0), at("boss"), "done"))
    async with asyncio.timeout(30):
        await world.gates["work"].reached.wait()
        await world.gates["boss"].reached.wait()
    assert world.held == 2
    world.gates["boss"].open()
    assert await world.ends(root) is TaskState.COMPLETED


async def test_nobody_holds_a_slot_while_all_wait_for_an_answer(world: World) -> None:
    """S7, R9: and the child that gets it goes on with one."""
    root = await world.run(do(task(do(ask("which?"), at("work"), "worked"), "sync")))
    (child,) = await _children(world, root)
    waited = await world.kernel.tasks.wait(VIEWER, [child], wait_for_any=False, seconds=30)
    assert (waited.tasks[0].state, world.held) == (TaskState.INPUT_REQUIRED, 0)
    await world.kernel.tasks.answer(VIEWER, task_id=child, question_id="", answer="x", user_id="ada", request=None)
    await world.gates["work"].reached.wait()
    assert world.held == 1
    world.gates["work"].open()
    assert await world.ends(root) is TaskState.COMPLETED


async def _children(world: World, root: str) -> list[str]:
    while not (found := await world.kernel.real_store.get_descendants(root)):
        pass
    return [each.task_id for each in found]
