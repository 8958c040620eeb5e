"""The fake model's streamed answers, read by pydantic-ai's own OpenAI model."""

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, AgentRunResultEvent, PartDeltaEvent, PartStartEvent, ThinkingPart, ToolCallPart
from pydantic_ai.messages import AgentStreamEvent, TextPart, TextPartDelta, ThinkingPartDelta, ToolCallPartDelta

from musterd.testing.model import FakeModel, call, finish, text, thinking, usage


class Weather(BaseModel):
    city: str
    degrees: int


async def stream_events(agent: Agent[None, object], prompt: str) -> list[AgentStreamEvent]:
    async with agent.run_stream_events(prompt) as events:
        return [event async for event in events if not isinstance(event, AgentRunResultEvent)]


def pieces(events: list[AgentStreamEvent]) -> list[str]:
    """Return the content of each delta in its order, the part starts among them."""
    found: list[str] = []
    for event in events:
        match event:
            case PartStartEvent(part=TextPart(content=content) | ThinkingPart(content=content)):
                found.append(content)
            case PartStartEvent(part=ToolCallPart(tool_name=tool)):
                found.append(tool)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=content)):
                found.append(content)
            case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=str(content))):
                found.append(content)
            case PartDeltaEvent(delta=ToolCallPartDelta(args_delta=str(arguments))):
                found.append(arguments)
            case _:
                pass
    return found


async def test_text_comes_in_the_deltas_of_the_script() -> None:
    script = [text("Good", " mor", "ning")]
    async with FakeModel(script) as model, Agent(model.as_model()).run_stream("Hello") as result:
        deltas = [delta async for delta in result.stream_text(delta=True, debounce_by=None)]
    assert deltas == ["Good", " mor", "ning"]
    assert model.requests[0].stream


@pytest.mark.parametrize(
    ("whole", "chunks", "deltas"),
    [
        ("abcdef", 3, ["ab", "cd", "ef"]),
        ("abcdefg", 2, ["abc", "defg"]),
        ("ab", 5, ["a", "b"]),
        ("abc", 1, ["abc"]),
    ],
)
async def test_text_can_be_split_into_chunks(whole: str, chunks: int, deltas: list[str]) -> None:
    async with FakeModel([text(whole, chunks=chunks)]) as model:
        assert pieces(await stream_events(Agent(model.as_model()), "x")) == deltas


async def test_arguments_of_a_call_come_in_pieces_and_make_one_call() -> None:
    seen: list[tuple[int, int]] = []

    def add(a: int, b: int) -> int:
        seen.append((a, b))
        return a + b

    script = [call("add", {"a": 1, "b": 2}, id="c1", chunks=4), text("three")]
    async with FakeModel(script) as model:
        events = await stream_events(Agent(model.as_model(), tools=[add]), "1 + 2?")
    assert pieces(events) == ["add", '{"a"', ": 1,", ' "b"', ": 2}", "three"]
    assert seen == [(1, 2)]
    assert model.requests[1].tool_results == {"c1": "3"}


async def test_streamed_parallel_calls_keep_their_arguments_apart() -> None:
    def double(n: int) -> int:
        return 2 * n

    calls = text("Both.") + call("double", {"n": 10}, chunks=3) + call("double", {"n": 20}, chunks=2)
    async with FakeModel([calls, text("done")]) as model:
        await stream_events(Agent(model.as_model(), tools=[double]), "double 10 and 20")
    model.assert_exhausted()
    assert model.requests[1].tool_results == {"call_1_1": "20", "call_1_2": "40"}


async def test_thinking_is_streamed_before_the_text() -> None:
    async with FakeModel([thinking("Hm, ", "well.") + text("Yes")]) as model:
        events = await stream_events(Agent(model.as_model()), "Sure?")
    starts = [type(event.part) for event in events if isinstance(event, PartStartEvent)]
    assert starts == [ThinkingPart, TextPart]
    assert pieces(events) == ["Hm, ", "well.", "Yes"]


async def test_structured_output_is_streamed_as_a_call_of_the_output_tool() -> None:
    async with FakeModel([call("final_result", {"city": "Basel", "degrees": 21}, chunks=5)]) as model:
        agent = Agent(model.as_model(), output_type=Weather)
        async with agent.run_stream("Basel?") as result:
            assert await result.get_output() == Weather(city="Basel", degrees=21)


async def test_usage_and_finish_reason_come_with_the_end_of_the_stream() -> None:
    script = [text("and", " th") + usage(120, 30, cached_tokens=100) + finish("length")]
    async with FakeModel(script) as model, Agent(model.as_model()).run_stream("x") as result:
        await result.get_output()
        cost = result.usage
    assert model.requests[0].stream_options.include_usage
    assert (cost.input_tokens, cost.output_tokens, cost.cache_read_tokens) == (120, 30, 100)
    assert result.response.finish_reason == "length"


async def test_usage_is_kept_from_a_client_that_did_not_ask_for_it() -> None:
    async with FakeModel([text("ok")]) as model:
        client = model.as_model().client
        stream = await client.chat.completions.create(
            model="any", stream=True, messages=[{"role": "user", "content": "x"}]
        )
        chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
