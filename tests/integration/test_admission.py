"""Caps on what runs at a time: for each tenant, user and tree, and never at the cost of others."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from tests.support.doors import Doors, subagent
from tests.support.gated_model import Delta
from tests.support.idling import idle
from tests.support.runtime_kernel import Kernel
from tests.support.scripted import tool_returns_in
from tests.support.tokens import AUTH, token

from musterd import Musterd
from musterd.domain.principal import Identity
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest
from musterd.subagents import create_subagent_toolset
from musterd.testing import serve
from musterd_client import MusterdClient, TaskState

CALLERS = {
    "anna": token("anna"),
    "bert": token("bert"),
    "anna elsewhere": token("anna", tenant="umbrella"),
}


@pytest.fixture
def doors() -> Doors:
    return Doors()


class Callers:
    """A client for each caller."""

    def __init__(self, clients: Mapping[str, MusterdClient]) -> None:
        self._clients = clients

    async def submit(self, caller: str, name: str) -> str:
        task = await self._clients[caller].run_agent("guest", name, background=True).start()
        return task.task_id

    async def state_of(self, caller: str, task_id: str) -> TaskState:
        return (await self._clients[caller].tasks.status(task_id)).state


async def serve_callers(stack: AsyncExitStack, doors: Doors, **runtime: Any) -> Callers:
    app = Musterd(agents=[Agent(doors.model, name="guest")])
    client = await stack.enter_async_context(serve(app, auth=AUTH, runtime=runtime))
    clients = {
        name: await stack.enter_async_context(MusterdClient(client.target, token=each))
        for name, each in CALLERS.items()
    }
    return Callers(clients)


async def test_a_full_tenant_waits_and_another_does_not(doors: Doors) -> None:
    """R9: the last that the cap allows runs, one more waits; another tenant is not behind it."""
    async with AsyncExitStack() as stack:
        callers = await serve_callers(stack, doors, max_running_tasks_per_tenant=2)
        await callers.submit("anna", "a-1")
        await callers.submit("bert", "b-1")
        waiting = await callers.submit("bert", "b-2")
        await callers.submit("anna elsewhere", "e-1")
        await callers.submit("anna elsewhere", "e-2")
        await doors.came("a-1", "b-1", "e-1", "e-2")
        assert await callers.state_of("bert", waiting) is TaskState.SUBMITTED
        await doors.let_in("e-1", "a-1")
        await doors.came("b-2")
        await doors.let_all_in()
    assert doors.order[-1] == "b-2"


async def test_a_full_user_waits_and_others_do_not(doors: Doors) -> None:
    """R9: a user's cap counts within the tenant."""
    async with AsyncExitStack() as stack:
        callers = await serve_callers(stack, doors, max_running_tasks_per_user=1)
        await callers.submit("anna", "a-1")
        waiting = await callers.submit("anna", "a-2")
        await callers.submit("bert", "b-1")
        await callers.submit("anna elsewhere", "e-1")
        await doors.came("a-1", "b-1", "e-1")
        assert await callers.state_of("anna", waiting) is TaskState.SUBMITTED
        await doors.let_in("a-1")
        await doors.came("a-2")
        await doors.let_all_in()


async def test_a_tenant_that_fills_the_queue_does_not_keep_others_out(doors: Doors) -> None:
    """R9: who has room does not need a place in the queue."""
    async with AsyncExitStack() as stack:
        callers = await serve_callers(stack, doors, max_running_tasks_per_tenant=1, max_queued_tasks=2)
        for name in ("a-1", "a-2", "a-3"):
            await callers.submit("anna", name)
        await doors.came("a-1")
        elsewhere = await callers.submit("anna elsewhere", "e-1")
        await doors.came("e-1")
        assert await callers.state_of("anna elsewhere", elsewhere) is TaskState.WORKING
        await doors.let_all_in()
        await doors.came("a-2", "a-3")


async def test_what_a_dead_process_left_keeps_to_the_caps_and_all_of_it_goes_on(doors: Doors, tmp_path: Path) -> None:
    """R11, R9: what ran in a tenant that is full now is not forgotten for that it is in no queue."""
    app = Musterd(agents=[Agent(doors.model, name="guest")])
    database = tmp_path / "left.db"
    first = Kernel(app, database)
    await first.start()
    names = [f"{number}" for number in range(5)]
    for name in names:
        identity = Identity(tenant_id="acme", user_id="ada", captured_at=await first.store.now())
        request = RunRequest(
            component=ComponentRef(kind=ComponentKind.AGENT, id="guest"), identity=identity, message=name
        )
        first.hub.leave((await first.runs.start(request)).follower)
    await doors.came(*names)
    await first.die()
    again = Doors()
    later = Kernel(
        Musterd(agents=[Agent(again.model, name="guest")]), database, limits=Limits(max_running_tasks_per_tenant=2)
    )
    await later.start()
    await again.came_in_all(2)
    await again.let_all_in()
    await again.came(*names)
    await idle(later)
    await later.stop()
    assert again.most_at_once <= 2


async def test_a_tree_keeps_to_its_cap_while_other_runs_start(doors: Doors) -> None:
    """R9, S13: the parent waits and does not count, so as many children run as the cap allows."""
    names = [f"part-{number}" for number in range(5)]

    async def delegate(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        if tool_returns_in(messages):
            yield "all done"
            return
        for index, name in enumerate(names):
            arguments = f'{{"description": "{name}", "subagent_type": "worker"}}'
            yield {index: DeltaToolCall(name="task", json_args=arguments, tool_call_id=name)}

    worker = Agent(doors.model, name="worker")
    toolset = create_subagent_toolset([subagent("worker", worker)], include_general_purpose=False)
    boss = Agent(FunctionModel(stream_function=delegate), name="boss", toolsets=[toolset])
    app = Musterd(agents=[boss, Agent(doors.model, name="guest")])
    async with serve(app, runtime={"max_running_tasks_per_tree": 2}) as client:
        root = await client.run_agent("boss", "go", background=True).start()
        await doors.came_in_all(2)
        await client.run_agent("guest", "guest", background=True).start()
        await doors.came("guest")
        assert len(doors.waiting) == 3
        children = [task async for task in client.tasks.list(parent_task_id=root.task_id)]
        assert sorted(task.state for task in children) == [TaskState.SUBMITTED] * 3 + [TaskState.WORKING] * 2
        await doors.let_all_in()
        ended = (await client.tasks.wait([root.task_id])).tasks[0]
    assert ended.output is not None
    assert ended.output.text == "all done"
    assert doors.most_at_once == 3
