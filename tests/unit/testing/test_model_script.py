"""How the fake model goes through its script, and what it says when a test and its script disagree."""

import json
from http import HTTPStatus

import pytest
from httpx import AsyncClient
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError

from musterd.testing.model import ChatRequest, FakeModel, Turn, call, text


async def test_turns_are_taken_in_their_order() -> None:
    async with FakeModel([text("one"), text("two")]) as model:
        agent = Agent(model.as_model())
        assert [(await agent.run("x")).output, (await agent.run("x")).output] == ["one", "two"]
    model.assert_exhausted()


async def test_a_rule_answers_by_what_it_was_asked() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    def rule(request: ChatRequest) -> Turn:
        if not request.tool_results:
            assert "add" in request.tool_names
            return call("add", json.loads(request.prompt))
        return text("sum: ", *request.tool_results.values())

    async with FakeModel(rule) as model:
        agent = Agent(model.as_model(), tools=[add])
        assert (await agent.run('{"a": 1, "b": 2}')).output == "sum: 3"
        assert (await agent.run('{"a": 20, "b": 2}')).output == "sum: 22"
    model.assert_exhausted()


async def test_a_request_after_the_last_turn_fails_and_is_reported() -> None:
    async with FakeModel([text("only")]) as model:
        agent = Agent(model.as_model())
        await agent.run("x")
        with pytest.raises(ModelHTTPError, match="no turn left") as caught:
            await agent.run("and now?")
        assert caught.value.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert model.requests[1].prompt == "and now?"
    with pytest.raises(AssertionError, match=r"request 2 \('and now\?'\).* no turn left"):
        model.assert_exhausted()


async def test_turns_left_over_are_reported() -> None:
    async with FakeModel([text("one"), text("two")]) as model:
        await Agent(model.as_model()).run("x")
    with pytest.raises(AssertionError, match=r"1 turns were not asked for.*two"):
        model.assert_exhausted()


async def test_a_rule_that_raises_is_an_error_for_the_agent_and_for_the_test() -> None:
    def rule(request: ChatRequest) -> Turn:
        raise KeyError(request.prompt)

    async with FakeModel(rule) as model:
        with pytest.raises(ModelHTTPError, match="KeyError: 'nobody'"):
            await Agent(model.as_model()).run("nobody")
    with pytest.raises(AssertionError, match="KeyError"):
        model.assert_exhausted()


@pytest.mark.parametrize("body", ["", "[]", '{"model": "m"}'])
async def test_a_body_that_is_no_chat_request_is_refused_and_reported(body: str) -> None:
    async with FakeModel([]) as model, AsyncClient(trust_env=False) as client:
        response = await client.post(f"{model.base_url}/chat/completions", content=body)
        assert response.status_code == HTTPStatus.BAD_REQUEST
    with pytest.raises(AssertionError, match="POST /v1/chat/completions is not a chat request"):
        model.assert_exhausted()


def test_a_model_that_is_not_running_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        FakeModel([]).as_model()
