"""Steps that fail: tried again, left out, or the end of their workflow."""

import asyncio
import threading
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelHTTPError
from tests.support.actors import Actor, Answer, Reading, crashing, saying
from tests.support.clocks import DrivenClock
from tests.support.followers import Follower
from tests.support.workflow_runs import ran, run, run_alone

from musterd import Musterd, Parallel, Step, StepInput, Workflow
from musterd.runtime.workflows.stepping import delay_seconds
from musterd.testing import serve
from musterd.workflows.steps import MAX_RETRY_DELAY_SECONDS
from musterd_client import CancelMode, ComponentKind, StepCompleted, StepFailed, StepStarted, TaskState, UsageLimits


def failing(times: int, name: str = "flaky", **options: Any) -> Step:
    """Return a step whose function raises so many times."""
    calls = 0

    async def work(given: StepInput) -> str:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise RuntimeError("secret")
        return f"done at try {calls}"

    return Step(name, work, retry_delay_seconds=0, **options)


async def test_a_function_that_raises_fails_the_workflow() -> None:
    """W1 (refusal): the error names the step; the exception is for the server's log alone."""
    result = await run_alone(Workflow("w", [failing(1)]))
    reason, cause, message = result.error
    assert (result.task.state, reason, cause) == (TaskState.FAILED, "STEP_FAILED", "FUNCTION_RAISED")
    assert message.startswith("the step 'flaky' failed: it raised an unexpected error; the server's log has it as ")
    assert result.task.error is not None
    assert result.task.error.error_id in message
    assert "secret" not in message
    assert result.story == ["flaky starts", "flaky fails"]


async def test_a_failed_step_is_tried_again() -> None:
    """W1, W2: each try is told of, with its number."""
    result = await run_alone(Workflow("w", [failing(2, max_retries=2)]))
    assert result.text == "done at try 3"
    assert result.story == [
        "flaky starts",
        "flaky fails and is tried again",
        "flaky starts again",
        "flaky fails and is tried again",
        "flaky starts again",
        "flaky: done at try 3",
    ]
    tries = [event for event in result.steps if isinstance(event, StepStarted | StepFailed | StepCompleted)]
    assert [event.attempt for event in tries] == [1, 1, 2, 2, 3, 3]
    assert len(tries) == len(result.steps)


async def test_a_step_that_fails_too_often_fails_the_workflow() -> None:
    """W1 (refusal)."""
    result = await run_alone(Workflow("w", [failing(3, max_retries=2)]))
    assert result.error[0] == "STEP_FAILED"
    assert result.story[-1] == "flaky fails"
    assert len(result.story) == 6


async def test_the_time_between_tries_is_the_clocks() -> None:
    """W1: it doubles, and the next try begins when it is over."""
    clock = DrivenClock()
    calls = 0

    async def work(given: StepInput) -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError
        return "done"

    flow = Workflow("w", [Step("flaky", work, max_retries=2, retry_delay_seconds=7)])
    async with (
        serve(Musterd(workflows=[flow]), clock=clock) as client,
        Follower(client.run_workflow("w", "go")) as follower,
    ):
        for seconds in (7.0, 14.0):
            await clock.sleeping(seconds=seconds)
            clock.advance(seconds)
        await follower.ended()
    assert calls == 3


def test_the_time_between_tries_has_a_limit() -> None:
    """W1: and none of it is there when none is wished."""
    step = Step("s", lambda _: None, retry_delay_seconds=8)
    assert [delay_seconds(step, failures) for failures in (1, 2, 3)] == [8, 16, 32]
    assert [delay_seconds(step, failures) for failures in (4, 5, 100)] == [MAX_RETRY_DELAY_SECONDS] * 3
    assert delay_seconds(Step("s", lambda _: None, retry_delay_seconds=0), 100) == 0


async def test_a_step_may_be_left_out_when_it_fails() -> None:
    """W1: the next goes on with what was before it."""

    def look(given: StepInput) -> str:
        assert given.previous is not None
        return f"{given.previous.content}; flaky is skipped: {given.outputs['flaky'].is_skipped}"

    start = Step("start", lambda _: "started")
    flow = Workflow("w", [start, failing(9, max_retries=1, skip_on_failure=True), look])
    result = await run_alone(flow)
    assert result.text == "started; flaky is skipped: True"
    assert result.story[2:6] == [
        "flaky starts",
        "flaky fails and is tried again",
        "flaky starts again",
        "flaky fails and is skipped",
    ]


async def test_parallel_steps_go_on_without_one_that_is_left_out() -> None:
    """W1: it is null in what they give together."""
    flow = Workflow("w", [Parallel(failing(9, skip_on_failure=True), Step("well", lambda _: "well"), name="both")])
    result = await run_alone(flow)
    assert result.value == {"flaky": None, "well": "well"}


async def test_a_workflow_of_which_all_is_left_out_completes_with_nothing() -> None:
    """W1."""
    flow = Workflow("w", [Parallel(failing(9, skip_on_failure=True), name="both")])
    result = await run_alone(flow)
    assert result.text == ""
    assert result.story[-1] == "both is skipped: none of its steps ran"


async def test_an_agent_that_fails_gives_its_reason_as_the_cause() -> None:
    """W1 (refusal): the message is that of its task."""
    result = await run_alone(Workflow("w", [crashing("ann")]))
    reason, cause, message = result.error
    assert (reason, cause) == ("STEP_FAILED", "TOOL_FAILED")
    assert message.startswith("the step 'ann' failed: a tool of the agent raised an unexpected error")


async def test_each_try_of_an_agent_is_a_task_of_its_own() -> None:
    """W1, W2: what the failed ones spent counts."""
    asked = 0

    async def answer(reading: Reading) -> Answer:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise ModelHTTPError(400, "m")
        return "third"

    flow = Workflow("w", [Step("try", Actor(answer).member("any"), max_retries=2, retry_delay_seconds=0)])
    async with serve(Musterd(workflows=[flow])) as client:
        result = await run(client, "w")
        children = [task async for task in client.tasks.list(parent_task_id=result.task.task_id)]
    assert result.text == "third"
    assert [child.state for child in reversed(children)] == [TaskState.FAILED, TaskState.FAILED, TaskState.COMPLETED]
    assert {child.component.kind for child in children} == {ComponentKind.STEP}
    failures = [event.message for event in result.steps if isinstance(event, StepFailed)]
    assert len(failures) == 2
    assert all("the request to the model failed" in message for message in failures)


async def test_the_failure_of_an_inner_workflow_names_each_step_down_to_it() -> None:
    """W1."""
    inner = Workflow("inner", [failing(1)])
    result = await run_alone(Workflow("w", [Step("nested", inner)]))
    reason, cause, message = result.error
    assert (reason, cause) == ("STEP_FAILED", "STEP_FAILED")
    assert message.startswith("the step 'nested' failed: the step 'flaky' failed: it raised")


async def test_a_function_has_its_time() -> None:
    """W1: one that takes longer is a failed try."""
    flow = Workflow("w", [Step("slow", never, timeout_seconds=0.01, max_retries=1, retry_delay_seconds=0)])
    result = await run_alone(flow)
    assert result.error == ("STEP_FAILED", "STEP_TIMEOUT", "the step 'slow' failed: it took longer than 0.01 s")
    assert result.story.count("slow fails and is tried again") == 1


async def never(given: Any) -> str:
    await asyncio.get_running_loop().create_future()
    return "never"


async def test_a_thread_that_takes_too_long_is_left_to_itself() -> None:
    """W1: what it returns later is not used."""
    opened = threading.Event()

    def block(given: StepInput) -> str:
        opened.wait(60)
        return "late"

    try:
        result = await run_alone(Workflow("w", [Step("slow", block, timeout_seconds=0.01, skip_on_failure=True)]))
    finally:
        opened.set()
    assert result.text == ""


async def test_an_agent_has_its_time() -> None:
    """W1, R10: the time of its task is that of the step."""

    async def wait(reading: Reading) -> Answer:
        return await never(reading)

    result = await run_alone(Workflow("w", [Step("slow", Actor(wait).member("any"), timeout_seconds=0.05)]))
    reason, cause, message = result.error
    assert (reason, cause) == ("STEP_FAILED", "RUN_TIMEOUT")
    assert message == "the step 'slow' failed: the run took longer than its 0.05 s"


async def test_the_time_of_the_run_is_over_for_all_its_steps() -> None:
    """R10 (refusal), W1: that is no failure of a step, and no step is left out for it."""

    async def wait(reading: Reading) -> Answer:
        return await never(reading)

    agent = Step("slow", Actor(wait).member("any"), skip_on_failure=True)
    flow = Workflow("w", [Parallel(agent, Step("stuck", never, skip_on_failure=True))])
    result = await run_alone(flow, run_timeout_seconds=0.2)
    assert result.error == ("RUN_TIMEOUT", "", "the run took longer than its 0.2 s")


async def test_what_the_run_may_spend_ends_it_whatever_a_step_would_do() -> None:
    """R6, W1: no step can be started any more."""
    first, second = saying("a").member("a"), saying("b").member("b")
    flow = Workflow("w", [first, Step("b", second, max_retries=5, retry_delay_seconds=0)])
    result = await run_alone(flow, usage_limits=UsageLimits(requests=1))
    assert result.error[0] in ("STEP_FAILED", "USAGE_LIMIT_EXCEEDED")
    assert "USAGE_LIMIT_EXCEEDED" in result.error
    assert [line for line in result.story if line.startswith("b starts")] == ["b starts"]


async def test_a_step_whose_task_is_canceled_is_not_tried_again() -> None:
    """W1, R5: somebody does not want it."""

    async def wait(reading: Reading) -> Answer:
        return await never(reading)

    flow = Workflow("w", [Step("a", Actor(wait).member("any"), max_retries=5), Step("b", lambda _: "b")])
    async with (
        serve(Musterd(workflows=[flow])) as client,
        Follower(client.run_workflow("w", "go")) as follower,
    ):
        await follower.seen(lambda event: event.kind == "model_request_started")
        (child,) = [task async for task in client.tasks.list(parent_task_id=await follower.task_id())]
        await client.tasks.cancel(child.task_id, mode=CancelMode.HARD)
        await follower.ended()
        result = await ran(client, await follower.task_id())
    assert result.error == ("STEP_FAILED", "CANCELED", "the step 'a' failed: its task was canceled")


@pytest.mark.parametrize("returned", [object(), "\ud800"], ids=["an object", "half a character"])
async def test_what_cannot_be_stored_is_a_failed_try(returned: Any) -> None:
    """W1."""
    result = await run_alone(Workflow("w", [Step("odd", lambda _: returned, skip_on_failure=True)]))
    assert result.story == ["odd starts", "odd fails and is skipped"]


async def test_a_prompt_that_raises_is_a_failed_try() -> None:
    """W1: and nobody was asked anything."""
    asked = saying("x")
    flow = Workflow("w", [Step("a", asked.member("any"), prompt="{input[n]}")])
    result = await run_alone(flow)
    assert (result.error[:2], asked.readings) == (("STEP_FAILED", "FUNCTION_RAISED"), [])


async def test_a_function_that_cancels_itself_is_a_failed_try() -> None:
    """W1: nobody canceled the run."""

    async def give_up(given: StepInput) -> None:
        raise asyncio.CancelledError

    result = await run_alone(Workflow("w", [give_up]))
    assert result.error[:2] == ("STEP_FAILED", "FUNCTION_RAISED")


async def test_a_function_that_calls_sys_exit_ends_its_workflow_and_not_the_server() -> None:
    """W1."""

    def leave(given: StepInput) -> None:
        raise SystemExit

    flow = Workflow("w", [leave])
    async with serve(Musterd(workflows=[flow])) as client:
        assert (await run(client, "w")).error[1] == "FUNCTION_RAISED"
        assert (await run(client, "w")).error[1] == "FUNCTION_RAISED"
