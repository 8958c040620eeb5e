"""What a factory opens lives as long as the attempt, however that ends."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from tests.support.gated_model import Gate, saying, stopping
from tests.support.scripted import call_then_say

from musterd import AgentFactory, Built, FactoryPermissionError, Musterd, Prototype, RequestContext
from musterd.testing import serve
from musterd_client import CancelMode, MusterdClient, PermissionDeniedError, TaskFailedError, TaskState


class Scene:
    """A factory that opens something for each attempt; `now_open` is how many are."""

    def __init__(self, made: Any, *, failure: Exception | None = None) -> None:
        self.now_open = 0
        self.opened = 0
        self.closed = asyncio.Event()
        self._made = made
        self._failure = failure

    @asynccontextmanager
    async def manage(self, context: RequestContext) -> AsyncGenerator[Any]:
        self.opened += 1
        self.now_open += 1
        try:
            yield self._made
            if self._failure is not None:
                raise self._failure
        finally:
            self.now_open -= 1
            self.closed.set()

    @property
    def app(self) -> Musterd:
        return Musterd(agents=[AgentFactory("it", self.manage)])


async def end_of(client: MusterdClient, task_id: str) -> TaskState:
    return (await client.tasks.wait([task_id])).tasks[0].state


async def test_it_is_open_while_the_run_runs_and_closed_when_it_is_complete() -> None:
    """C3."""
    gate = Gate()
    scene = Scene(Agent(stopping(gate)))
    async with serve(scene.app) as client, client.run_agent("it", "go") as run:
        await gate.reached.wait()
        assert scene.now_open == 1
        gate.open()
        await run.result()
        await scene.closed.wait()
    assert (scene.opened, scene.now_open) == (1, 0)


async def test_it_is_closed_when_the_run_fails() -> None:
    """C3."""

    def explode() -> str:
        raise ZeroDivisionError

    scene = Scene(Agent(call_then_say("explode", "never"), tools=[explode]))
    async with serve(scene.app) as client:
        with pytest.raises(TaskFailedError):
            await client.run_agent("it", "go").result()
        await scene.closed.wait()
    assert scene.now_open == 0


@pytest.mark.parametrize("mode", [CancelMode.HARD, CancelMode.SOFT])
async def test_it_is_closed_when_the_run_is_canceled(mode: CancelMode) -> None:
    """C3, R5."""
    gate = Gate()
    scene = Scene(Agent(stopping(gate)))
    async with serve(scene.app) as client:
        task = await client.run_agent("it", "go", background=True).start()
        await gate.reached.wait()
        await client.tasks.cancel(task.task_id, mode=mode, grace_seconds=0)
        assert await end_of(client, task.task_id) is TaskState.CANCELED
        await scene.closed.wait()
    assert scene.now_open == 0


async def test_it_is_closed_when_the_server_stops_and_opened_anew_for_the_next_attempt(tmp_path: Path) -> None:
    """C3, C9."""
    gate = Gate()
    scene = Scene(Agent(stopping(gate)))
    async with serve(scene.app, folder=tmp_path) as client:
        task = await client.run_agent("it", "go", background=True).start()
        await gate.reached.wait()
    assert (scene.opened, scene.now_open) == (1, 0)
    gate.open()
    async with serve(scene.app, folder=tmp_path) as client:
        assert await end_of(client, task.task_id) is TaskState.COMPLETED
        assert (await client.tasks.status(task.task_id)).attempt == 2
    assert (scene.opened, scene.now_open) == (2, 0)


async def test_a_failure_to_close_comes_after_the_end_and_changes_nothing() -> None:
    """C3: the task has ended by then, and a row that is terminal never changes."""
    scene = Scene(Agent(saying("done")), failure=RuntimeError("the door is stuck"))
    async with serve(scene.app) as client:
        for _ in range(2):
            assert (await client.run_agent("it", "go").result()).output.text == "done"
    assert scene.now_open == 0


async def test_it_is_closed_when_what_was_built_is_of_the_wrong_type() -> None:
    """C3, C4."""
    scene = Scene("no agent at all")
    async with serve(scene.app) as client:
        with pytest.raises(Exception, match="FACTORY_FAILED"):
            await client.run_agent("it", "go").result()
    assert (scene.opened, scene.now_open) == (1, 0)


async def test_a_manager_may_refuse_before_it_opens_anything() -> None:
    """C3, C7."""

    @asynccontextmanager
    async def refuse(context: RequestContext) -> AsyncGenerator[Agent]:
        if context.input == {}:
            raise FactoryPermissionError("not without a ticket")
        yield Agent(saying("in"))

    async with serve(Musterd(agents=[AgentFactory("it", refuse)])) as client:
        with pytest.raises(PermissionDeniedError, match="not without a ticket"):
            await client.run_agent("it", "go").result()
        assert (await client.run_agent("it", "go", factory_input={"ticket": 7}).result()).output.text == "in"


async def test_a_manager_may_give_deps_too_and_so_may_that_of_a_prototype() -> None:
    """C11."""
    seen: list[Any] = []

    def look(ctx: RunContext[Any]) -> str:
        seen.append(ctx.deps)
        return "seen"

    agent = Agent(call_then_say("look", "done"), name="shared", tools=[look])
    of_factory, of_prototype = Scene(Built(agent, deps="built")), Scene("made")
    app = Musterd(agents=[AgentFactory("it", of_factory.manage), Prototype(agent, deps_factory=of_prototype.manage)])
    async with serve(app) as client:
        for agent_id in ("it", "shared"):
            assert (await client.run_agent(agent_id, "go").result()).output.text == "done"
    assert seen == ["built", "made"]
    assert (of_factory.now_open, of_prototype.now_open, of_prototype.opened) == (0, 0, 1)
