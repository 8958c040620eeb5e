"""Watching and waiting over gRPC: what is stored, then what comes, each once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.gated_model import Gate, saying, stopping
from tests.support.runtime_kernel import Kernel
from tests.support.stored_runs import begin_task

from musterd import AgentFactory, FactoryPermissionError, Musterd, RequestContext
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.principal import Viewer
from musterd.runtime.supervisor import shutting_down
from musterd.testing import serve
from musterd_client import (
    MusterdClient,
    NotFoundError,
    PermissionDeniedError,
    TaskFailedError,
    TaskState,
    TextDelta,
    WaitMode,
    WatchUntil,
)


@pytest.mark.parametrize("until", list(WatchUntil))
async def test_a_finished_task_is_replayed_from_any_place(until: WatchUntil) -> None:
    """R3: from every sequence on, also from the end, where there is nothing left."""
    async with serve(Musterd(agents=[Agent(saying("a", "b", "c"), name="agent")])) as client:
        done = await client.run_agent("agent", "go").result()
        task_id, last = done.task.task_id, done.task.last_sequence
        for after in range(last + 1):
            watched = [event async for event in client.tasks.watch(task_id, after_sequence=after, until=until)]
            assert [event.sequence for event in watched] == list(range(after + 1, last + 1))


async def test_a_watch_that_begins_in_mid_run_sees_it_all_once() -> None:
    """R3: deltas included."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate, before=("one ", "two "), after=("three ", "four")), name="agent")])
    async with serve(app) as client, client.run_agent("agent", "go") as run:
        await gate.reached.wait()
        async with client.tasks.watch(run.task.task_id) as watch:
            gate.open()
            watched = [event async for event in watch]
        ran = [event async for event in run]
    assert watched == ran
    assert "".join(event.text for event in watched if isinstance(event, TextDelta)) == "one two three four"


async def test_a_background_run_goes_on_without_its_caller() -> None:
    """R2."""
    gate = Gate()
    async with serve(Musterd(agents=[Agent(stopping(gate), name="agent")])) as client:
        async with client.run_agent("agent", "go", background=True) as run:
            task_id = run.task.task_id
            assert [event async for event in run] == []
        await gate.reached.wait()
        assert (await client.tasks.status(task_id)).state is TaskState.WORKING
        gate.open()
        assert (await client.tasks.watch(task_id).result()).output.text == "done"


async def test_a_background_run_is_refused_as_any_other() -> None:
    """R2 (refusal): by a status, and there is no task that somebody would have to look for."""

    def build(context: RequestContext) -> Agent:
        raise FactoryPermissionError(f"not for {context.user_id}")

    async with serve(Musterd(agents=[AgentFactory("picky", build)])) as client:
        with pytest.raises(PermissionDeniedError, match="not for ada"):
            await client.run_agent("picky", "go", background=True, user_id="ada").start()
        assert [task async for task in client.tasks.list()] == []


async def test_a_background_run_that_fails_is_found_failed() -> None:
    """R2 (refusal): the call that began it went well, and its task says what became of it."""
    async with serve(Musterd(agents=[Agent(saying("a word"), name="agent", output_type=int, retries=0)])) as client:
        task = await client.run_agent("agent", "go", background=True).start()
        failed = (await client.tasks.wait([task.task_id])).tasks[0]
        with pytest.raises(TaskFailedError):
            await client.tasks.watch(task.task_id).result()
    assert failed.state is TaskState.FAILED
    assert failed.error is not None


async def test_waiting_for_any_and_for_all() -> None:
    """R4: it tells which are pending, and times out without harm."""
    gates = {"slow": Gate(), "quick": Gate()}
    app = Musterd(agents=[Agent(stopping(gate), name=name) for name, gate in gates.items()])
    async with serve(app) as client:
        ids = {name: await start(client, name) for name in gates}
        looked = await client.tasks.wait(list(ids.values()), timeout_seconds=0)
        assert looked.timed_out
        assert set(looked.pending_task_ids) == set(ids.values())
        waiting = asyncio.create_task(client.tasks.wait(list(ids.values()), mode=WaitMode.ANY, timeout_seconds=30))
        gates["quick"].open()
        first = await waiting
        assert not first.timed_out
        assert first.pending_task_ids == (ids["slow"],)
        assert [task.task_id for task in first.tasks] == list(ids.values())
        gates["slow"].open()
        both = await client.tasks.wait(list(ids.values()), timeout_seconds=30)
        assert (both.timed_out, both.pending_task_ids) == (False, ())
        with pytest.raises(NotFoundError):
            await client.tasks.wait([ids["slow"], "019a0000-0000-7000-8000-000000000000"])


async def test_waits_end_with_a_server_that_goes_down(tmp_path: Path) -> None:
    """R4 (refusal): one that waits already, and one that comes late, each with a reason that says to try again."""
    kernel = Kernel(Musterd(), tmp_path / "a.db")
    await kernel.real_store.open(kernel.hub.publish)
    task = await begin_task(kernel.real_store)
    viewer = Viewer(tenant_id="acme", user_id="ada")
    early = asyncio.create_task(kernel.tasks.wait(viewer, [task.task_id], wait_for_any=True, seconds=600))
    await kernel.real_store.now()
    kernel.changes.close(shutting_down)
    late = kernel.tasks.wait(viewer, [task.task_id], wait_for_any=True, seconds=600)
    for waiting in (early, late):
        with pytest.raises(MusterdError) as ended:
            await waiting
        assert ended.value.reason is Reason.SHUTTING_DOWN
    kernel.builder.close()
    await kernel.real_store.close()


async def start(client: MusterdClient, agent_id: str) -> str:
    async with client.run_agent(agent_id, "go", background=True) as run:
        return run.task.task_id


async def test_tasks_are_listed_newest_first_by_state_and_agent() -> None:
    """R4."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="slow"), Agent(saying("ok"), name="quick")])
    async with serve(app) as client:
        done = [(await client.run_agent("quick", "go").result()).task.task_id for _ in range(3)]
        running = await start(client, "slow")
        await gate.reached.wait()
        every = [task.task_id async for task in client.tasks.list(page_size=2)]
        assert every == [running, *reversed(done)]
        working = [task.task_id async for task in client.tasks.list(states=[TaskState.WORKING])]
        assert working == [running]
        quick = [task.task_id async for task in client.tasks.list(agent_id="quick", page_size=1)]
        assert quick == list(reversed(done))
        gate.open()
        await client.tasks.wait([running])


async def test_a_thousand_runs_at_once_all_complete() -> None:
    """R1: none is lost, and each has its own answer."""
    waiting = asyncio.Semaphore(0)
    started = 0

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        nonlocal started
        started += 1
        if started == COUNT:
            for _ in range(COUNT):
                waiting.release()
        yield "first "
        await waiting.acquire()
        yield "last"

    app = Musterd(agents=[Agent(FunctionModel(stream_function=stream), name="slow")])
    async with serve(app) as client:
        results = await asyncio.gather(*(client.run_agent("slow", f"run {number}").result() for number in range(COUNT)))
    assert len({result.task.task_id for result in results}) == COUNT
    assert {result.output.text for result in results} == {"first last"}


COUNT = 1_000
