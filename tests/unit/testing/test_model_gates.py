"""Gates stop the fake model's answers where a test wants them, and cancelled clients are noticed."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelAPIError

from musterd.testing.model import FakeModel, call, gate, text


async def test_a_gate_before_the_answer_holds_the_run_until_it_is_released() -> None:
    async with FakeModel([text("done", gate="start")]) as model, asyncio.TaskGroup() as group:
        run = group.create_task(Agent(model.as_model()).run("x"))
        await model.reached("start")
        assert not run.done()
        assert len(model.requests) == 1
        model.release("start")
        assert (await run).output == "done"


async def deltas_of(model: FakeModel) -> AsyncIterator[str]:
    async with Agent(model.as_model()).run_stream("x") as result:
        async for delta in result.stream_text(delta=True, debounce_by=None):
            yield delta


async def test_a_gate_between_two_deltas_lets_the_first_one_through() -> None:
    async with FakeModel([text("Hel") + gate("middle") + text("lo")]) as model:
        deltas = deltas_of(model)
        assert await anext(deltas) == "Hel"
        await model.reached("middle")
        model.release("middle")
        assert [delta async for delta in deltas] == ["lo"]


async def test_a_gate_holds_whole_answers_too() -> None:
    async with FakeModel([text("Hel") + gate("middle") + text("lo")]) as model, asyncio.TaskGroup() as group:
        run = group.create_task(Agent(model.as_model()).run("x"))
        await model.reached("middle")
        model.release("middle")
        assert (await run).output == "Hello"


async def test_a_gate_can_stand_between_two_parallel_calls() -> None:
    def note(word: str) -> str:
        return word

    turns = [call("note", {"word": "a"}) + call("note", {"word": "b"}, gate="second"), text("noted")]
    async with FakeModel(turns) as model, asyncio.TaskGroup() as group:
        run = group.create_task(Agent(model.as_model(), tools=[note]).run("x"))
        await model.reached("second")
        model.release("second")
        assert (await run).output == "noted"
    assert list(model.requests[1].tool_results.values()) == ["a", "b"]


async def test_a_gate_released_early_holds_nobody() -> None:
    async with FakeModel([text("done", gate="start")]) as model:
        model.release("start")
        assert (await Agent(model.as_model()).run("x")).output == "done"
        await model.reached("start")


async def test_one_gate_gathers_several_runs_and_releases_them_together() -> None:
    async with FakeModel(lambda request: text(request.prompt, gate="all")) as model, asyncio.TaskGroup() as group:
        agent = Agent(model.as_model())
        runs = [group.create_task(agent.run(word)) for word in ("a", "b", "c")]
        await model.reached("all", times=3)
        assert not any(run.done() for run in runs)
        model.release("all")
        assert [(await run).output for run in runs] == ["a", "b", "c"]


async def test_a_run_cancelled_before_its_answer_is_seen_as_a_disconnect() -> None:
    async with FakeModel([text("never", gate="start"), text("next")]) as model:
        agent = Agent(model.as_model())
        run = asyncio.create_task(agent.run("x"))
        await model.reached("start")
        run.cancel()
        await model.disconnected(1)
        with pytest.raises(asyncio.CancelledError):
            await run
        assert (await agent.run("y")).output == "next"


async def test_a_run_cancelled_in_mid_stream_is_seen_as_a_disconnect() -> None:
    async with FakeModel([text("Hel") + gate("middle") + text("lo")]) as model:
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in deltas_of(model):
                begun.set()

        reader = asyncio.create_task(read())
        await begun.wait()
        await model.reached("middle")
        reader.cancel()
        await model.disconnected(1)
        with pytest.raises(asyncio.CancelledError):
            await reader


async def test_a_client_that_stayed_to_the_end_did_not_disconnect() -> None:
    async with FakeModel([text("bye")], wait_limit_seconds=0) as model:
        await Agent(model.as_model()).run("x")
        with pytest.raises(TimeoutError, match="client of request 1 did not leave; 1 requests came"):
            await model.disconnected(1)


async def test_waiting_for_a_gate_ends_with_a_text_that_says_what_came_instead() -> None:
    async with FakeModel([text("ok", gate="open")], wait_limit_seconds=0) as model:
        model.release("open")
        await Agent(model.as_model()).run("x")
        with pytest.raises(TimeoutError, match=r"gate 'other' was not reached 1 times; 1 requests came, .* open: 1"):
            await model.reached("other")


async def test_leaving_the_model_cuts_the_answers_that_it_still_holds() -> None:
    async with FakeModel([text("never", gate="start")]) as model:
        run = asyncio.create_task(Agent(model.as_model()).run("x"))
        await model.reached("start")
    with pytest.raises(ModelAPIError):
        await run


async def test_cut_and_abandoned_answers_leave_neither_tasks_nor_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    before = asyncio.all_tasks()
    caplog.set_level(logging.WARNING)
    async with FakeModel([text("a", "b").disconnect_after(1), text("never", gate="start")]) as model:
        agent = Agent(model.as_model())
        with pytest.raises(ModelAPIError):
            await agent.run("x")
        run = asyncio.create_task(agent.run("x"))
        await model.reached("start")
        run.cancel()
        await asyncio.wait([run])
    assert asyncio.all_tasks() == before
    assert caplog.messages == []
