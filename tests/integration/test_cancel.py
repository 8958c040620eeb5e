"""Canceling over gRPC: what stops, when, and what is kept of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.clocks import DrivenClock
from tests.support.gated_model import Gate, saying, stopping
from tests.support.scripted import call_then_say

from musterd import Musterd
from musterd.app import Service
from musterd.testing import serve, serve_settings
from musterd_client import (
    CancelMode,
    CancelOutcome,
    CancelRequested,
    MusterdClient,
    OnDisconnect,
    PreconditionFailedError,
    TaskCanceled,
    TaskState,
)


async def test_a_hard_cancel_interrupts_the_model_and_keeps_what_it_said() -> None:
    """R5."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate, before=("half ", "an answer")), name="slow")])
    async with serve(app) as client, client.run_agent("slow", "go", metadata={"ticket": "7"}) as run:
        await gate.reached.wait()
        canceled = await client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD, reason="enough")
        events = [event async for event in run]
    assert canceled.outcome is CancelOutcome.CANCELED
    assert canceled.task.state is TaskState.CANCELED
    assert canceled.task.output is not None
    assert (canceled.task.output.text, canceled.task.output.partial) == ("half an answer", True)
    assert canceled.task.usage.output_tokens > 0
    assert any(isinstance(event, CancelRequested) for event in events)
    assert isinstance(events[-1], TaskCanceled)
    assert events[-1].reason == "enough"


async def test_a_soft_cancel_lets_the_step_end_and_starts_no_other() -> None:
    """R5."""
    gate = Gate()
    ran: list[str] = []

    async def tool() -> str:
        await gate.wait()
        ran.append("tool")
        return "result"

    agent = Agent(call_then_say("tool", "never said"), name="worker", tools=[tool])
    async with serve(Musterd(agents=[agent])) as client, client.run_agent("worker", "go") as run:
        await gate.reached.wait()
        canceled = await client.tasks.cancel(run.task.task_id, grace_seconds=3_000)
        assert canceled.outcome is CancelOutcome.CANCELING
        assert canceled.task.state is TaskState.CANCELING
        gate.open()
        events = [event async for event in run]
    assert ran == ["tool"]
    assert isinstance(events[-1], TaskCanceled)
    kinds = [event.kind for event in events]
    assert "tool_call_completed" in kinds
    assert kinds.count("model_request_started") == 1
    assert "text_delta" not in kinds


async def test_a_soft_cancel_interrupts_the_step_when_its_grace_ends() -> None:
    """R5."""
    gate = Gate()
    clock = DrivenClock()
    app = Musterd(agents=[Agent(stopping(gate), name="slow")])
    async with serve(app, clock=clock) as client, client.run_agent("slow", "go") as run:
        await gate.reached.wait()
        canceled = await client.tasks.cancel(run.task.task_id, grace_seconds=5)
        assert canceled.outcome is CancelOutcome.CANCELING
        await clock.sleeping(seconds=5)
        clock.advance(5)
        with pytest.raises(Exception, match="canceled"):
            await run.result()


async def test_a_hard_cancel_overrides_a_soft_one() -> None:
    """R5."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="slow")])
    async with serve(app) as client, client.run_agent("slow", "go") as run:
        await gate.reached.wait()
        await client.tasks.cancel(run.task.task_id, grace_seconds=3_000)
        canceled = await client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD)
        assert canceled.outcome is CancelOutcome.CANCELED


async def test_cancel_says_what_really_happened() -> None:
    """R5: a second cancel finds it canceled; one of a completed task is refused; a repeated request tells the same."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="slow"), Agent(saying("ok"), name="quick")])
    async with serve(app) as client:
        async with client.run_agent("slow", "go") as run:
            await gate.reached.wait()
            task_id = run.task.task_id
            first = await client.tasks.cancel(task_id, mode=CancelMode.HARD, request_id="c-1")
            again = await client.tasks.cancel(task_id, mode=CancelMode.HARD, request_id="c-1")
            other = await client.tasks.cancel(task_id, mode=CancelMode.HARD, request_id="c-2")
        assert [first.outcome, again.outcome] == [CancelOutcome.CANCELED] * 2
        assert other.outcome is CancelOutcome.ALREADY_CANCELED
        done = await client.run_agent("quick", "go").result()
        with pytest.raises(PreconditionFailedError) as refused:
            await client.tasks.cancel(done.task.task_id)
    assert refused.value.reason == "TASK_NOT_CANCELABLE"


async def test_a_run_that_swallows_its_cancellation_is_given_up() -> None:
    """R5: the task ends as canceled, and what the code says afterwards is not stored."""
    stubborn, released = Gate(), asyncio.Event()
    clock = DrivenClock()

    async def deaf() -> str:
        while not released.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                stubborn.reached.clear()
        return "too late"

    agent = Agent(call_then_say("deaf", "never said"), name="worker", tools=[deaf])
    async with serve(Musterd(agents=[agent]), clock=clock) as client, client.run_agent("worker", "go") as run:
        await stubborn.reached.wait()
        canceling = asyncio.create_task(client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD))
        await clock.sleeping(seconds=10)
        clock.advance(10)
        canceled = await canceling
        assert canceled.task.state is TaskState.CANCELED
        events = [event async for event in run]
        last = canceled.task.last_sequence
        released.set()
        stubborn.open()
        assert (await client.tasks.status(run.task.task_id)).last_sequence == last
    assert sum(isinstance(event, TaskCanceled) for event in events) == 1


async def test_dropping_the_stream_cancels_only_when_asked_to() -> None:
    """R3."""
    gates: dict[str, Gate] = {"stay": Gate(), "go": Gate()}
    app = Musterd(agents=[Agent(stopping(gate), name=name) for name, gate in gates.items()])
    async with serve(app) as client:
        ids: dict[str, Any] = {}
        for name, on_disconnect in (("stay", None), ("go", OnDisconnect.CANCEL)):
            async with client.run_agent(name, "x", on_disconnect=on_disconnect) as run:
                await gates[name].reached.wait()
                ids[name] = run.task.task_id
        waited = await client.tasks.wait([ids["go"]], timeout_seconds=30)
        assert waited.tasks[0].state is TaskState.CANCELED
        assert (await client.tasks.status(ids["stay"])).state is TaskState.WORKING
        gates["stay"].open()
        assert (await client.tasks.wait([ids["stay"]], timeout_seconds=30)).tasks[0].state is TaskState.COMPLETED


async def test_a_server_that_sends_its_readers_off_cancels_nothing(tmp_path: Path) -> None:
    """R3: on_disconnect is about the client's going, not the server's."""
    gate = Gate()

    def app() -> Musterd:
        return Musterd(agents=[Agent(stopping(gate), name="slow")])

    settings = serve_settings(tmp_path)
    service = Service(app(), settings)
    await service.start()
    async with MusterdClient(f"unix:{settings.server.unix_socket}") as client:
        run = client.run_agent("slow", "x", on_disconnect=OnDisconnect.CANCEL)
        task_id = (await run.start()).task_id
        await gate.reached.wait()
        await service.stop()
    gate.open()
    async with serve(app(), folder=tmp_path) as client:
        assert (await client.tasks.watch(task_id).result()).output.text == "done"
