"""A store that is away for a moment, or slow at the wrong one: no run fails for its sake, and none is left behind."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic_ai import RunContext
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset
from tests.support.actors import add_todo, delegate, steps, what_came
from tests.support.gated_model import Gate
from tests.support.runtime_kernel import Kernel
from tests.support.stage import Stage, ask, at, do, pause, task, wait
from tests.support.turns import prompts

from musterd import AgentFactory, Musterd, RequestContext, Team
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.full_store import FullStore
from musterd.domain.ids import new_id
from musterd.domain.ports import Created, NewTask
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.runs import RunRequest
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client import CancelMode, TaskState

VIEWER = Viewer(tenant_id="acme", user_id="ada")
BOSS = ComponentRef(kind=ComponentKind.AGENT, id="boss")


class Flickering:
    """A real store that is away the first time that an operation is asked for."""

    def __init__(self, store: SqliteStore, *operations: str) -> None:
        self.left = set(operations)
        self._store = store

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)

        async def flicker(*args: Any, **kwargs: Any) -> Any:
            if name in self.left:
                self.left.remove(name)
                raise MusterdError(reason=Reason.STORE_UNAVAILABLE, message="away", retry_after_seconds=0.001)
            return await operation(*args, **kwargs)

        return flicker


async def test_a_parent_talks_to_its_child_although_the_store_is_away(tmp_path: Path) -> None:
    """S7, S8: the answer and the message come when it is back."""
    stage = Stage()
    child = do(ask("which?"), at("work"), "worked")
    talk = [("answer_subagent", {"task_id": "@0", "answer": "left"})]
    more = [("send_message_to_subagent", {"task_id": "@0", "message": "and soon"})]
    store = Flickering(SqliteStore(tmp_path / "musterd.db"), "answer", "add_steer")
    plan = do(task(child), wait("@0"), talk, more, at("sent"), wait("@0"))
    async with serve(stage.app(), store=cast("FullStore", store)) as client, client.run_agent("boss", plan) as run:
        await stage.gates["sent"].reached.wait()
        stage.gates["work"].open()
        stage.gates["sent"].open()
        result = await run.result()
    assert not store.left
    assert "1/1 finished" in result.text
    assert "and soon" in prompts(list(stage.conversation(child)))


@pytest.mark.parametrize("operation", ["get_descendants", "get_tasks"])
async def test_a_team_works_on_although_the_store_is_away(tmp_path: Path, operation: str) -> None:
    """T1, R3: in the mode that asks the store most."""
    ann = steps("done").member("ann")
    crew = Team("crew", [ann], model=steps([add_todo("cut")], "planned", "all done").model, mode="tasks")
    store = Flickering(SqliteStore(tmp_path / "musterd.db"), operation)
    async with serve(Musterd(teams=[crew]), store=cast("FullStore", store)) as client:
        result = await client.run_team("crew", "a chair").result()
    assert not store.left
    assert result.text == "all done"


async def test_a_leader_hears_its_member_although_the_store_is_away(tmp_path: Path) -> None:
    """T1, R3: failures are counted whenever a turn ended."""
    crew = Team("crew", [steps("done").member("ann")], model=steps([delegate("ann", "it")], what_came).model)
    store = Flickering(SqliteStore(tmp_path / "musterd.db"), "get_descendants")
    async with serve(Musterd(teams=[crew]), store=cast("FullStore", store)) as client:
        result = await client.run_team("crew", "a chair").result()
    assert not store.left
    assert "done" in result.text


class Between(WrapperToolset[Any]):
    """Stops calls of one tool at a gate: before the tool runs, or after it."""

    def __init__(self, wrapped: Any, name: str, gate: Gate, *, after: bool) -> None:
        super().__init__(wrapped)
        self._name = name
        self._gate = gate
        self._after = after

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        if name == self._name and not self._after:
            await self._gate.wait()
        result = await super().call_tool(name, tool_args, ctx, tool)
        if name == self._name and self._after:
            await self._gate.wait()
        return result


async def begin(kernel: Kernel, message: str) -> str:
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    started = await kernel.runs.start(RunRequest(component=BOSS, identity=identity, message=message))
    kernel.hub.leave(started.follower)
    return started.task.task_id


async def test_a_message_that_is_sent_again_after_a_crash_is_read_once(tmp_path: Path) -> None:
    """S8, R3: the child has read it, and the parent does not know that it sent it."""
    child = do(at("start"), ("list_active_tasks", {}), at("read"), "worked")
    message = ("send_message_to_subagent", {"task_id": "@0", "message": "and soon"})
    plan = do(task(child), message, at("sent"), wait("@0"))
    nested = Stage().delegating(id="nested")

    def boss(stage: Stage, gate: Gate, *, after: bool) -> Musterd:
        toolset = stage.delegating(stage.worker(toolsets=[nested]), max_nesting_depth=1)
        return stage.app(Between(toolset, "send_message_to_subagent", gate, after=after))

    first, sent = Stage(), Gate()
    dying = Kernel(boss(first, sent, after=True), tmp_path / "musterd.db")
    await dying.start()
    task_id = await begin(dying, plan)
    await first.gates["start"].reached.wait()
    await sent.reached.wait()
    first.gates["start"].open()
    await first.gates["read"].reached.wait()
    assert prompts(list(first.conversation(child))).count("and soon") == 1
    await dying.die()
    second, sending = Stage(), Gate()
    kernel = Kernel(boss(second, sending, after=False), tmp_path / "musterd.db")
    await kernel.start()
    await second.gates["read"].reached.wait()
    sending.open()
    await second.gates["sent"].reached.wait()
    second.gates["read"].open()
    second.gates["sent"].open()
    await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=30)
    await kernel.stop()
    assert prompts(list(second.conversation(child))).count("and soon") == 1


class Slow:
    """A real store that stops when a child is to be stored."""

    def __init__(self, store: FullStore, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create_task(self, new: NewTask) -> Created:
        if new.parent_task_id:
            await self._gate.wait()
        return await self._store.create_task(new)


async def test_a_child_that_is_just_being_started_stops_with_the_server(tmp_path: Path) -> None:
    """R3, S3: it goes on in the next process, and not behind the back of this one."""
    stage, gate = Stage(), Gate()
    kernel = Kernel(stage.app(), tmp_path / "musterd.db", wrap_store=lambda store: cast("FullStore", Slow(store, gate)))
    await kernel.start()
    await begin(kernel, do(task(do(at("work"), "never said")), at("boss"), "never said"))
    await gate.reached.wait()
    stopping = asyncio.create_task(kernel.supervisor.close(0, asyncio.Event()))
    for _ in range(20):
        await asyncio.sleep(0)
    gate.open()
    await stopping
    left: Sequence[str] = [each.get_name() for each in asyncio.all_tasks() if each.get_name().startswith("run-")]
    await kernel.writer.close()
    kernel.builder.close()
    await kernel.store.close()
    assert left == []


async def test_a_task_whose_factory_refuses_while_it_is_canceled_ends(tmp_path: Path) -> None:
    """R5, C7: it was in the queue, and its factory is at work when the order comes."""
    stage, building = Stage(), Gate()
    is_second = False

    async def build(_: RequestContext) -> Any:
        nonlocal is_second
        if is_second:
            await building.wait()
            raise PermissionError(new_id())
        is_second = True
        return stage.agent()

    app = Musterd(agents=[AgentFactory("boss", build)])
    async with serve(app, runtime={"max_running_tasks": 1}) as client:
        first = await client.run_agent("boss", do(pause("a"), "done"), background=True).start()
        await stage.gates["a"].reached.wait()
        second = await client.run_agent("boss", do("done"), background=True).start()
        stage.gates["a"].open()
        await building.reached.wait()
        await client.tasks.cancel(second.task_id, mode=CancelMode.SOFT)
        building.open()
        waited = await client.tasks.wait([first.task_id, second.task_id], timeout_seconds=10)
    assert not waited.timed_out
    assert waited.tasks[1].state in (TaskState.FAILED, TaskState.CANCELED)
