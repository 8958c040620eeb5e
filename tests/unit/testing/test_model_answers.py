"""The fake model's whole answers, read by pydantic-ai's own OpenAI model."""

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelResponse, ThinkingPart, ToolCallPart
from pydantic_ai.exceptions import UnexpectedModelBehavior

from musterd.testing.model import FakeModel, call, finish, text, thinking, usage


class Weather(BaseModel):
    city: str
    degrees: int


async def test_text_is_the_output_of_the_run() -> None:
    async with FakeModel([text("Good ", "morning")]) as model:
        result = await Agent(model.as_model()).run("Hello")
    assert result.output == "Good morning"
    assert result.response.finish_reason == "stop"


async def test_a_tool_call_is_run_and_its_result_is_what_the_model_sees_next() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    async with FakeModel([call("add", {"a": 1, "b": 2}, id="c1"), text("three")]) as model:
        result = await Agent(model.as_model(), tools=[add]).run("1 + 2?")
    model.assert_exhausted()
    assert result.output == "three"
    first, second = model.requests
    assert first.tool_names == ("add",)
    assert first.tool_results == {}
    assert second.tool_results == {"c1": "3"}
    assert second.messages[-2].tool_calls[0].function.name == "add"


async def test_calls_joined_to_each_other_are_parallel_calls_with_ids_of_their_own() -> None:
    def double(n: int) -> int:
        return 2 * n

    async with FakeModel([text("Both.") + call("double", {"n": 1}) + call("double", {"n": 2}), text("done")]) as model:
        result = await Agent(model.as_model(), tools=[double]).run("double 1 and 2")
    assert model.requests[1].tool_results == {"call_1_1": "2", "call_1_2": "4"}
    response = result.all_messages()[1]
    assert isinstance(response, ModelResponse)
    assert response.text == "Both."
    assert response.finish_reason == "tool_call"


async def test_a_call_of_the_output_tool_is_structured_output() -> None:
    async with FakeModel([call("final_result", {"city": "Basel", "degrees": 21})]) as model:
        result = await Agent(model.as_model(), output_type=Weather).run("Basel?")
    assert result.output == Weather(city="Basel", degrees=21)


async def test_arguments_given_as_a_string_are_sent_as_they_are() -> None:
    async with FakeModel([call("final_result", '{"city": ')]) as model:
        agent = Agent(model.as_model(), output_type=Weather, retries=0)
        with pytest.raises(UnexpectedModelBehavior):
            await agent.run("Basel?")
    model.assert_exhausted()


async def test_thinking_comes_before_the_text() -> None:
    async with FakeModel([thinking("Hm, ", "well.") + text("Yes")]) as model:
        result = await Agent(model.as_model()).run("Sure?")
    thought = result.response.parts[0]
    assert isinstance(thought, ThinkingPart)
    assert thought.content == "Hm, well."
    assert result.output == "Yes"


async def test_usage_is_what_the_turn_says_it_cost() -> None:
    turn = text("ok") + usage(120, 30, cached_tokens=100, reasoning_tokens=7)
    async with FakeModel([turn]) as model:
        cost = (await Agent(model.as_model()).run("x")).usage
    assert (cost.requests, cost.input_tokens, cost.output_tokens, cost.cache_read_tokens) == (1, 120, 30, 100)
    assert cost.details["reasoning_tokens"] == 7


async def test_usage_that_nobody_set_is_ten_in_and_five_out() -> None:
    async with FakeModel([text("ok")]) as model:
        cost = (await Agent(model.as_model()).run("x")).usage
    assert (cost.input_tokens, cost.output_tokens) == (10, 5)


async def test_a_finish_reason_can_be_set() -> None:
    async with FakeModel([text("and th") + finish("length")]) as model:
        result = await Agent(model.as_model()).run("x")
    assert result.response.finish_reason == "length"


async def test_what_the_model_was_told_is_recorded() -> None:
    async with FakeModel([text("one"), text("two")]) as model:
        agent = Agent(model.as_model("small"), instructions="Be brief.")
        first = await agent.run("First?")
        await agent.run(["Second", "?"], message_history=first.all_messages())
    assert [request.number for request in model.requests] == [1, 2]
    assert [request.prompt for request in model.requests] == ["First?", "Second?"]
    last = model.requests[1]
    assert last.model == "small"
    assert last.instructions == "Be brief."
    assert [message.role for message in last.messages] == ["system", "user", "assistant", "user"]
    assert last.messages[2].text == "one"
    assert last.headers["authorization"] == "Bearer unused"
    assert last.body["model"] == "small"
    assert not last.stream


async def test_the_call_ids_of_the_transcript_are_those_of_the_script() -> None:
    async with FakeModel([call("final_result", {"city": "Bern", "degrees": 3}, id="mine")]) as model:
        result = await Agent(model.as_model(), output_type=Weather).run("Bern?")
    (part,) = result.response.parts
    assert isinstance(part, ToolCallPart)
    assert part.tool_call_id == "mine"
