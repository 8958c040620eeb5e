"""Steering over gRPC: a message from outside reaches the next model request, or is refused; it is never dropped."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import DeltaToolCall
from tests.support.gated_model import Delta, Gate, prompts_in, saying, stopping
from tests.support.scripted import by_request, call_then_say

from musterd import AgentFactory, Musterd
from musterd.testing import serve
from musterd_client import CancelMode, PreconditionFailedError, Steered, SteerOutcome, TaskCanceled, TaskState


async def test_a_message_goes_into_the_next_model_request() -> None:
    """R6: and the log says in which."""
    gate = Gate()
    heard: list[list[str]] = []

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        heard.append(prompts_in(messages))
        if number == 1:
            await gate.wait()
        yield f"answer {number}"

    app = Musterd(agents=[Agent(by_request(answer), name="talker")])
    async with serve(app) as client, client.run_agent("talker", "hello") as run:
        await gate.reached.wait()
        pending = await client.tasks.steer(run.task.task_id, "in French, please", wait_timeout_seconds=0)
        assert pending.outcome is SteerOutcome.PENDING
        await client.tasks.steer(run.task.task_id, "and be brief", wait_timeout_seconds=0, request_id="s-2")
        gate.open()
        events = [event async for event in run]
        applied = await client.tasks.steer(run.task.task_id, "and be brief", wait_timeout_seconds=0, request_id="s-2")
    assert applied.outcome is SteerOutcome.APPLIED
    assert heard[-1] == ["hello", "in French, please", "and be brief"]
    steered = [event for event in events if isinstance(event, Steered)]
    assert [event.message for event in steered] == ["in French, please", "and be brief"]
    assert steered[0].steer_id == pending.steer_id
    assert run.task.state is TaskState.COMPLETED


async def test_a_message_during_the_last_answer_makes_the_run_go_on() -> None:
    """R6: what came before the end is not lost, although no tool call follows."""
    gate = Gate()

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if number == 1:
            yield "final, I thought"
            await gate.wait()
        else:
            yield f"heard: {prompts_in(messages)[-1]}"

    app = Musterd(agents=[Agent(by_request(answer), name="talker")])
    async with serve(app) as client, client.run_agent("talker", "hello") as run:
        await gate.reached.wait()
        await client.tasks.steer(run.task.task_id, "wait, one more thing", wait_timeout_seconds=0)
        gate.open()
        result = await run.result()
    assert result.output.text == "heard: wait, one more thing"


async def test_the_same_request_id_steers_once() -> None:
    """R8."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="slow")])
    async with serve(app) as client, client.run_agent("slow", "go") as run:
        await gate.reached.wait()
        first = await client.tasks.steer(run.task.task_id, "once", wait_timeout_seconds=0, request_id="s-1")
        again = await client.tasks.steer(run.task.task_id, "once", wait_timeout_seconds=0, request_id="s-1")
        gate.open()
        events = [event async for event in run]
    assert first.steer_id == again.steer_id
    assert sum(isinstance(event, Steered) for event in events) == 1


async def test_a_finished_or_canceling_task_takes_no_message() -> None:
    """R6 (refusal)."""
    gate = Gate()

    async def hold() -> str:
        await gate.wait()
        return "held"

    holding = Agent(call_then_say("hold", "x"), name="holding", tools=[hold])
    app = Musterd(agents=[Agent(saying("ok"), name="quick"), holding])
    async with serve(app) as client:
        done = await client.run_agent("quick", "go").result()
        with pytest.raises(PreconditionFailedError) as refused:
            await client.tasks.steer(done.task.task_id, "too late")
        assert refused.value.reason == "TASK_NOT_STEERABLE"
        async with client.run_agent("holding", "go") as run:
            await gate.reached.wait()
            await client.tasks.cancel(run.task.task_id, grace_seconds=3_000)
            with pytest.raises(PreconditionFailedError):
                await client.tasks.steer(run.task.task_id, "too late")
            gate.open()


async def test_a_message_that_was_accepted_and_not_applied_is_named_at_the_end() -> None:
    """R6: the run was canceled before its next request."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate), name="slow")])
    async with serve(app) as client, client.run_agent("slow", "go") as run:
        await gate.reached.wait()
        pending = await client.tasks.steer(run.task.task_id, "unheard", wait_timeout_seconds=0)
        await client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD)
        events = [event async for event in run]
    assert isinstance(events[-1], TaskCanceled)
    assert events[-1].unapplied_steer_ids == (pending.steer_id,)


async def test_a_message_survives_a_restart(tmp_path: Path) -> None:
    """R6: it was stored before it was applied, and the server stopped."""
    gate = Gate()
    heard: list[str] = []

    async def hold() -> str:
        await gate.wait()
        return "held"

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        heard[:] = prompts_in(messages)
        async for delta in first_answer(number, messages):
            yield delta

    async def first_answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if len(messages) == 1:
            yield {0: DeltaToolCall(name="hold", json_args="{}", tool_call_id="c")}
        else:
            yield "done"

    def app() -> Musterd:
        tool = Tool(hold, metadata={"musterd_repeatable": True})
        return Musterd(agents=[AgentFactory("holding", lambda _: Agent(by_request(answer), tools=[tool]))])

    async with serve(app(), folder=tmp_path) as client, client.run_agent("holding", "go") as run:
        await gate.reached.wait()
        task_id = run.task.task_id
        await client.tasks.steer(task_id, "remember me", wait_timeout_seconds=0)
    gate.open()
    async with serve(app(), folder=tmp_path) as client:
        result = await client.tasks.watch(task_id).result()
    assert result.output.text == "done"
    assert heard == ["go", "remember me"]
