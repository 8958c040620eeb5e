"""What goes wrong with the fake model is what goes wrong with a real provider."""

from collections.abc import Callable

import pytest
from openai import APIStatusError
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError

from musterd.testing.model import FakeModel, Turn, call, disconnect, error, text, usage


async def stream(model: FakeModel, hear: Callable[[str], None] = lambda _: None) -> None:
    """Run an agent, and hand on what it says as it comes."""
    async with Agent(model.as_model()).run_stream("x") as result:
        async for delta in result.stream_text(delta=True, debounce_by=None):
            hear(delta)


async def drain(agent: Agent[None, str]) -> None:
    async with agent.run_stream_events("x") as events:
        async for _ in events:
            pass


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
async def test_an_error_reaches_the_agent_once_with_its_status_and_text(status: int) -> None:
    async with FakeModel([error(status, "overloaded")]) as model:
        with pytest.raises(ModelHTTPError, match="overloaded") as caught:
            await Agent(model.as_model()).run("x")
    assert caught.value.status_code == status
    assert len(model.requests) == 1


async def test_an_error_carries_its_headers_and_its_body() -> None:
    async with FakeModel(
        [error(429, {"error": {"message": "slow down", "code": "rate"}}, {"Retry-After": "7"})]
    ) as model:
        with pytest.raises(ModelHTTPError) as caught:
            await Agent(model.as_model()).run("x")
    assert caught.value.body == {"message": "slow down", "code": "rate"}
    cause = caught.value.__cause__
    assert isinstance(cause, APIStatusError)
    assert cause.response.headers["retry-after"] == "7"


async def test_an_error_instead_of_a_stream_is_an_http_error() -> None:
    async with FakeModel([error(503)]) as model:
        with pytest.raises(ModelHTTPError, match="scripted error 503"):
            await stream(model)


async def test_an_error_after_the_first_delta_ends_the_stream_in_the_middle() -> None:
    deltas: list[str] = []
    async with FakeModel([text("Hel", "lo") + error(503, "went away")]) as model:
        with pytest.raises(ModelAPIError, match="went away"):
            await stream(model, deltas.append)
    assert deltas == ["Hel", "lo"]


@pytest.mark.parametrize("turn", [disconnect(), text("Hello").disconnect_after(0)])
async def test_a_disconnect_at_the_start_is_a_connection_without_an_answer(turn: Turn) -> None:
    async with FakeModel([turn, turn]) as model:
        with pytest.raises(ModelAPIError, match="Connection error"):
            await Agent(model.as_model()).run("x")
        with pytest.raises(ModelAPIError, match="Connection error"):
            await stream(model)


async def test_a_disconnect_after_some_chunks_cuts_the_stream_there() -> None:
    deltas: list[str] = []
    async with FakeModel([text("abcdef", chunks=6).disconnect_after(2)]) as model:
        with pytest.raises(ModelAPIError, match="Connection error"):
            await stream(model, deltas.append)
    assert deltas == ["a", "b"]


async def test_a_disconnect_can_come_amid_the_arguments_of_a_call() -> None:
    ran: list[int] = []

    def pay(amount: int) -> None:
        ran.append(amount)

    async with FakeModel([(text("Paying.") + call("pay", {"amount": 10}, chunks=3)).disconnect_after(3)]) as model:
        with pytest.raises(ModelAPIError, match="Connection error"):
            await drain(Agent(model.as_model(), tools=[pay]))
    assert ran == []


async def test_the_next_request_after_a_disconnect_is_answered() -> None:
    async with FakeModel([disconnect(), text("back")]) as model:
        agent = Agent(model.as_model())
        with pytest.raises(ModelAPIError):
            await agent.run("x")
        assert (await agent.run("x")).output == "back"


def test_a_disconnect_counts_deltas_and_nothing_else() -> None:
    turn = usage(1, 1) + text("a", "b", gate="g")
    assert turn.disconnect_after(1) == usage(1, 1) + text("a", gate="g") + disconnect()


def test_a_disconnect_later_than_the_last_delta_is_refused() -> None:
    with pytest.raises(ValueError, match="1 deltas too few"):
        text("a", "b").disconnect_after(3)
