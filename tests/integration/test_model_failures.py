"""What becomes of a run when its model fails, in passing or for good."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import DeltaToolCall
from tests.support.clocks import DrivenClock
from tests.support.gated_model import Delta, Gate, saying, stopping
from tests.support.scripted import by_request, call_then_say

from musterd import Musterd
from musterd.testing import serve
from musterd.testing.model import FakeModel, call, error, text
from musterd_client import (
    RestartCause,
    RetryScheduled,
    StepRestarted,
    TaskFailedError,
    TaskState,
    TextDelta,
    UsageLimits,
)

AT_ONCE: dict[str, Any] = {"model_retry_initial_delay_seconds": 0, "model_retry_max_delay_seconds": 0}


async def test_a_passing_failure_is_tried_again_and_told() -> None:
    """R1, R11: with the events of it, and the run completes."""
    async with FakeModel([error(503, "busy"), error(429, "slow down"), text("here I am")]) as model:
        app = Musterd(agents=[Agent(model.as_model(), name="patient")])
        async with serve(app, runtime=AT_ONCE) as client, client.run_agent("patient", "hi") as run:
            events = [event async for event in run]
    retries = [event for event in events if isinstance(event, RetryScheduled)]
    assert [(event.step, event.attempt) for event in retries] == [(1, 1), (1, 2)]
    assert "503" in retries[0].message
    assert run.task.state is TaskState.COMPLETED
    assert run.text == "here I am"
    assert run.task.usage.requests == 1


async def test_the_deltas_of_a_response_that_broke_off_are_void() -> None:
    """R3: a reader is told to drop them."""
    broken = text("this is ", "not ", "to stay").disconnect_after(2)
    async with FakeModel([broken, text("but this")]) as model:
        app = Musterd(agents=[Agent(model.as_model(), name="patient")])
        async with serve(app, runtime=AT_ONCE) as client, client.run_agent("patient", "hi") as run:
            events = [event async for event in run]
    restarted = [event for event in events if isinstance(event, StepRestarted)]
    assert [(event.step, event.cause) for event in restarted] == [(1, RestartCause.RETRY)]
    assert "this is " in [event.text for event in events if isinstance(event, TextDelta)]
    assert run.text == "but this"


async def test_the_state_is_retrying_while_it_waits_and_working_after() -> None:
    """R11."""
    clock = DrivenClock()
    async with FakeModel([error(503, "busy", {"Retry-After": "7"}), text("ok")]) as model:
        app = Musterd(agents=[Agent(model.as_model(), name="patient")])
        async with serve(app, clock=clock, runtime=AT_ONCE | {"model_retry_max_delay_seconds": 20}) as client:
            async with client.run_agent("patient", "hi") as run:
                await clock.sleeping(seconds=7)
                async for event in run:
                    if isinstance(event, RetryScheduled):
                        assert (await client.tasks.status(run.task.task_id)).state is TaskState.RETRYING
                        clock.advance(7)
            assert run.task.state is TaskState.COMPLETED


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_a_failure_that_stays_ends_the_run_at_once(status: int) -> None:
    """R1 (refusal): an OK call that ends in TaskFailed, without the provider's words."""
    async with FakeModel([error(status, "secret detail of the provider")]) as model:
        app = Musterd(agents=[Agent(model.as_model(), name="hopeless")])
        async with serve(app, runtime=AT_ONCE) as client:
            with pytest.raises(TaskFailedError) as failed:
                await client.run_agent("hopeless", "hi").result()
        model.assert_exhausted()
    assert failed.value.reason == "MODEL_FAILED"
    assert str(status) in failed.value.message
    assert "secret" not in failed.value.message
    assert failed.value.error.error_id


async def test_retries_have_an_end() -> None:
    """R10: one request and as many retries as the setting allows."""
    async with FakeModel([error(503, "busy")] * 3) as model:
        app = Musterd(agents=[Agent(model.as_model(), name="hopeless")])
        async with serve(app, runtime=AT_ONCE | {"model_max_retries": 2}) as client:
            with pytest.raises(TaskFailedError) as failed:
                await client.run_agent("hopeless", "hi").result()
        assert len(model.requests) == 3
    assert failed.value.reason == "MODEL_FAILED"


async def test_a_fallback_model_falls_back_before_the_first_delta() -> None:
    """R1: that is no retry of ours."""
    async with FakeModel([error(503, "busy")]) as first:
        model = FallbackModel(first.as_model(), saying("from the second"))
        app = Musterd(agents=[Agent(model, name="safe")])
        async with serve(app, runtime=AT_ONCE) as client, client.run_agent("safe", "hi") as run:
            events = [event async for event in run]
    assert run.text == "from the second"
    assert not any(isinstance(event, RetryScheduled) for event in events)


async def test_a_run_that_crosses_its_usage_limit_fails_with_what_it_spent() -> None:
    """R10 (refusal)."""

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        yield {0: DeltaToolCall(name="again", json_args="{}", tool_call_id=f"c{number}")}

    async def again() -> str:
        return "again"

    app = Musterd(agents=[Agent(by_request(answer), name="loop", tools=[again])])
    async with serve(app) as client:
        with pytest.raises(TaskFailedError) as failed:
            await client.run_agent("loop", "go", usage_limits=UsageLimits(requests=3)).result()
    assert failed.value.reason == "USAGE_LIMIT_EXCEEDED"
    assert failed.value.task.usage.requests == 3
    assert failed.value.task.usage.tool_calls == 3


async def test_a_run_longer_than_its_timeout_fails() -> None:
    """R10 (refusal)."""
    gate = Gate()
    app = Musterd(agents=[Agent(stopping(gate, before=("some",)), name="slow")])
    async with serve(app) as client:
        with pytest.raises(TaskFailedError) as failed:
            await client.run_agent("slow", "go", run_timeout_seconds=0.2).result()
    assert failed.value.reason == "RUN_TIMEOUT"
    assert failed.value.task.output is not None
    assert failed.value.task.output.partial


async def test_a_tool_that_crashes_fails_the_run_without_its_words() -> None:
    """R1, C7."""

    async def crash() -> str:
        raise RuntimeError("password is hunter2")

    app = Musterd(agents=[Agent(call_then_say("crash", "x"), name="unlucky", tools=[crash])])
    async with serve(app) as client, client.run_agent("unlucky", "go") as run:
        events = [event async for event in run]
    assert run.task.state is TaskState.FAILED
    assert run.task.error is not None
    assert run.task.error.reason == "TOOL_FAILED"
    assert run.task.error.error_id
    assert "tool_call_failed" in [event.kind for event in events]
    assert "hunter2" not in repr(events) + repr(run.task)


class Answer(BaseModel):
    """A structured result."""

    number: int


async def test_an_answer_that_never_fits_ends_the_run() -> None:
    """R1."""
    turns = [call("final_result", {"number": "many"}, id=f"c{number}") for number in range(3)]
    async with FakeModel(turns) as model:
        agent = Agent(model.as_model(), name="strict", output_type=Answer, retries=2)
        async with serve(Musterd(agents=[agent])) as client:
            with pytest.raises(TaskFailedError) as failed:
                await client.run_agent("strict", "go").result()
    assert failed.value.reason == "MODEL_BEHAVIOR"


async def test_one_failing_run_stops_no_other() -> None:
    """R1."""
    gate = Gate()

    async def crash() -> str:
        raise RuntimeError("boom")

    bad = Agent(call_then_say("crash", "x"), name="bad", tools=[crash])
    app = Musterd(agents=[bad, Agent(stopping(gate), name="good")])
    async with serve(app) as client, client.run_agent("good", "go") as good:
        await gate.reached.wait()
        with pytest.raises(TaskFailedError):
            await client.run_agent("bad", "go").result()
        gate.open()
        assert (await good.result()).output.text == "done"
