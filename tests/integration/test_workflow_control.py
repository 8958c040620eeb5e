"""Workflows that are canceled or steered, and the slots that they hold."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic_ai import Agent
from tests.support.clocks import DrivenClock
from tests.support.followers import Follower
from tests.support.gated_model import Gate, stopping
from tests.support.runtime_kernel import Kernel
from tests.support.workflow_runs import ran

from musterd import Musterd, Parallel, Step, StepInput, Workflow
from musterd.domain.full_store import FullStore
from musterd.domain.orders import CancelOrder, Inbox
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.domain.task import TaskState as State
from musterd.runtime.runs import RunRequest
from musterd.testing import serve
from musterd_client import CancelMode, MusterdClient, PreconditionFailedError, TaskState


def agent(gate: Gate, name: str = "slow") -> Agent[Any, str]:
    return Agent(stopping(gate), name=name)


def say(given: StepInput) -> str:
    return "said"


async def states_below(client: MusterdClient, task_id: str) -> set[TaskState]:
    return {task.state async for task in client.tasks.list(parent_task_id=task_id)}


@pytest.mark.parametrize("mode", [CancelMode.HARD, CancelMode.SOFT])
async def test_a_cancel_goes_down_to_the_steps(mode: CancelMode) -> None:
    """R5, W2: nothing further begins; what runs is canceled first."""
    gates = [Gate(), Gate()]
    flow = Workflow("w", [Parallel(agent(gates[0], "a"), Step("b", Workflow("x", [agent(gates[1])]))), say])
    async with serve(Musterd(workflows=[flow])) as client, Follower(client.run_workflow("w", "go")) as follower:
        for gate in gates:
            await gate.reached.wait()
        task_id = await follower.task_id()
        await client.tasks.cancel(task_id, mode=mode, reason="enough", grace_seconds=0.1)
        await follower.ended()
        result = await ran(client, task_id)
        assert await states_below(client, task_id) == {TaskState.CANCELED}
    assert result.task.state is TaskState.CANCELED
    assert not any(line.startswith("say") for line in result.story)
    assert result.events[-1].kind == "task_canceled"


class LateOrders:
    """A store that hands out no order before somebody looks whether there is one."""

    def __init__(self, store: FullStore) -> None:
        self._store = store
        self._looked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get_task(self, viewer: Viewer, task_id: str) -> Any:
        self._looked.set()
        return await self._store.get_task(viewer, task_id)

    async def read_inbox(self, task_id: str) -> Inbox:
        await self._looked.wait()
        return await self._store.read_inbox(task_id)


async def test_a_step_that_is_canceled_before_its_workflow_has_heard_of_it_is_no_failure(tmp_path: Path) -> None:
    """R5, W2: another process may tell the step first; then the whole is canceled, and not failed."""
    gate = Gate()
    app = Musterd(workflows=[Workflow("w", [agent(gate), say])])
    kernel = Kernel(app, tmp_path / "order.db", wrap_store=lambda store: cast("FullStore", LateOrders(store)))
    await kernel.start()
    viewer = Viewer(tenant_id="acme", user_id="ada")
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    component = ComponentRef(kind=ComponentKind.WORKFLOW, id="w")
    started = await kernel.runs.start(RunRequest(component=component, identity=identity, message="go"))
    try:
        await gate.reached.wait()
        task_id = started.task.task_id
        order = CancelOrder(hard=True, grace_seconds=30, reason="enough", cascade=True, user_id="ada")
        record = await kernel.real_store.request_cancel(viewer, task_id, order, None)
        (step,) = [each for each in record.to_interrupt if each != task_id]
        kernel.supervisor.cancel(step, order)
        reading = asyncio.create_task(kernel.supervisor.read_orders([task_id]))
        waited = await kernel.tasks.wait(viewer, [task_id], wait_for_any=False, seconds=30)
        assert [task.state for task in waited.tasks] == [State.CANCELED]
        await reading
    finally:
        kernel.hub.leave(started.follower)
        await kernel.stop()


async def test_a_function_is_canceled_at_once_when_that_is_asked() -> None:
    """R5, W1."""
    began = asyncio.Event()

    async def hang(given: StepInput) -> None:
        began.set()
        await asyncio.get_running_loop().create_future()

    flow = Workflow("w", [hang])
    async with serve(Musterd(workflows=[flow])) as client, Follower(client.run_workflow("w", "go")) as follower:
        await began.wait()
        await client.tasks.cancel(await follower.task_id(), mode=CancelMode.HARD)
        assert (await follower.ended())[-1].kind == "task_canceled"


async def test_a_soft_cancel_lets_the_function_end_and_starts_no_other_step() -> None:
    """R5, W1."""
    gate = Gate()

    async def work(given: StepInput) -> str:
        await gate.wait()
        return "worked"

    flow = Workflow("w", [work, say])
    async with serve(Musterd(workflows=[flow])) as client, Follower(client.run_workflow("w", "go")) as follower:
        await gate.reached.wait()
        task_id = await follower.task_id()
        await client.tasks.cancel(task_id)
        gate.open()
        await follower.ended()
        result = await ran(client, task_id)
    assert (result.task.state, list(result.story)) == (TaskState.CANCELED, ["work starts", "work: worked"])


async def test_a_soft_cancel_ends_the_wait_for_the_next_try() -> None:
    """R5, W1: nobody waits for a try that will not come."""
    clock = DrivenClock()

    def fail(given: StepInput) -> None:
        raise RuntimeError

    flow = Workflow("w", [Step("fail", fail, max_retries=1, retry_delay_seconds=50)])
    async with (
        serve(Musterd(workflows=[flow]), clock=clock) as client,
        Follower(client.run_workflow("w", "go")) as follower,
    ):
        await clock.sleeping(seconds=50.0)
        await client.tasks.cancel(await follower.task_id())
        assert (await follower.ended())[-1].kind == "task_canceled"


async def test_a_workflow_takes_no_message_and_its_steps_do() -> None:
    """R6, W2: the refusal says so at once."""
    gate = Gate()
    async with (
        serve(Musterd(workflows=[Workflow("w", [agent(gate)])])) as client,
        Follower(client.run_workflow("w", "go")) as follower,
    ):
        await gate.reached.wait()
        task_id = await follower.task_id()
        with pytest.raises(PreconditionFailedError, match="steer the task of one of its steps") as refused:
            await client.tasks.steer(task_id, "hurry")
        (step,) = [task async for task in client.tasks.list(parent_task_id=task_id)]
        steering = asyncio.create_task(client.tasks.steer(step.task_id, "hurry"))
        await asyncio.wait({steering}, timeout=0)
        await client.tasks.steer(step.task_id, "now", wait_timeout_seconds=0)
        gate.open()
        await steering
        await follower.ended()
    assert refused.value.reason == "TASK_NOT_STEERABLE"


async def test_a_workflow_holds_no_slot_while_it_waits_for_its_steps(tmp_path: Path) -> None:
    """R9, W1: only the agent at the bottom holds one."""
    gate = Gate()
    flow = Workflow("w", [Step("nested", Workflow("x", [agent(gate)]))])
    kernel = Kernel(Musterd(workflows=[flow]), tmp_path / "slots.db")
    await kernel.start()
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    component = ComponentRef(kind=ComponentKind.WORKFLOW, id="w")
    started = await kernel.runs.start(RunRequest(component=component, identity=identity, message="go"))
    try:
        await gate.reached.wait()
        assert (kernel.supervisor.running_count, kernel.supervisor.children.slots.held_count) == (3, 1)
    finally:
        gate.open()
        kernel.hub.leave(started.follower)
        await kernel.stop()


async def test_a_workflow_with_more_steps_than_slots_ends() -> None:
    """R9, W1: they take their turns."""
    gate = Gate()
    gate.open()
    flow = Workflow("w", [Parallel([agent(gate, f"agent {number}") for number in range(5)])])
    async with serve(Musterd(workflows=[flow]), runtime={"max_running_tasks": 1}) as client:
        result = await client.run_workflow("w", "go").result()
    assert result.output.text.count("done") == 5
