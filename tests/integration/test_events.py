"""What a run tells while it goes: each kind of event, in its order, for each kind of model and tool."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext, Tool, ToolReturn
from pydantic_ai import messages as messages_of_model
from pydantic_ai.capabilities import ProcessEventStream
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import (
    BinaryContent,
    CustomEvent,
    ImageUrl,
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    TextPartDelta,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from tests.support.gated_model import Delta, saying
from tests.support.scripted import by_request, call_then_say, tool_returns_in

from musterd import AgentFactory, Musterd
from musterd.runtime.attempt.capability import RESULT_EVENT_MAX_BYTES
from musterd.testing import serve
from musterd_client import (
    Custom,
    DataPart,
    ModelRequestCompleted,
    TaskCompleted,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ToolCallArgumentsDelta,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
    UriPart,
)


async def events_of(agent: Agent[Any, Any], message: str = "go", **options: Any) -> list[Any]:
    app = Musterd(agents=[AgentFactory("agent", lambda _: agent)])
    async with serve(app) as client, client.run_agent("agent", message, **options) as run:
        return [event async for event in run]


async def test_the_log_is_dense_and_tells_each_step_in_order() -> None:
    """R1, R3."""

    async def add(a: int, b: int) -> int:
        return a + b

    agent = Agent(call_then_say("add", "it is ", "3", arguments='{"a": 1, "b": 2}'), tools=[add])
    events = await events_of(agent)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.kind for event in events] == [
        "task_started",
        "model_request_started",
        "tool_call_arguments_delta",
        "model_request_completed",
        "tool_call_started",
        "tool_call_completed",
        "model_request_started",
        "text_delta",
        "text_delta",
        "model_request_completed",
        "task_completed",
    ]
    started = next(event for event in events if isinstance(event, ToolCallStarted))
    completed = next(event for event in events if isinstance(event, ToolCallCompleted))
    assert (started.step, started.tool_name, json.loads(started.arguments_json)) == (1, "add", {"a": 1, "b": 2})
    assert (completed.tool_call_id, completed.result_json) == ("call-1", "3")
    assert {event.component.id for event in events} == {"agent"}


async def test_thinking_and_text_are_told_apart() -> None:
    """R3."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: DeltaThinkingPart(content="hmm, ")}
        yield {0: DeltaThinkingPart(content="yes")}
        yield "yes"

    events = await events_of(Agent(FunctionModel(stream_function=stream)))
    assert [event.text for event in events if isinstance(event, ThinkingDelta)] == ["hmm, ", "yes"]
    assert [(event.part_index, event.text) for event in events if isinstance(event, TextDelta)] == [(1, "yes")]


class Report(BaseModel):
    """A structured result."""

    total: int


async def test_a_structured_result_is_json_and_its_making_is_streamed() -> None:
    """R1."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        yield {0: DeltaToolCall(name=info.output_tools[0].name, json_args='{"to', tool_call_id="o")}
        yield {0: DeltaToolCall(json_args='tal": 7}', tool_call_id="o")}

    events = await events_of(Agent(FunctionModel(stream_function=stream), output_type=Report))
    deltas = [event for event in events if isinstance(event, ToolCallArgumentsDelta)]
    assert "".join(event.arguments_json for event in deltas) == '{"total": 7}'
    assert deltas[0].tool_name
    assert isinstance(events[-1], TaskCompleted)
    assert json.loads(events[-1].output.json) == {"total": 7}
    assert not any(isinstance(event, ToolCallStarted) for event in events)


async def test_a_model_that_cannot_stream_is_told_as_a_whole() -> None:
    """R1."""

    def whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[messages_of_model.TextPart("all at once")])

    events = await events_of(Agent(FunctionModel(whole)))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["all at once"]
    assert isinstance(events[-1], TaskCompleted)


async def test_an_agent_that_handles_stream_events_itself_still_gets_them() -> None:
    """R1: and the log has them too."""
    seen: list[str] = []

    async def handle(ctx: RunContext[Any], stream: Any) -> None:
        deltas = [event.delta async for event in stream if isinstance(event, PartDeltaEvent)]
        seen.extend(delta.content_delta for delta in deltas if isinstance(delta, TextPartDelta))

    events = await events_of(Agent(saying("a", "b", "c"), capabilities=[ProcessEventStream(handle)]))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "b", "c"]
    assert seen == ["b", "c"]


async def test_calls_that_are_invalid_retried_or_failed_are_told() -> None:
    """R1."""

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if number == 1:
            yield {0: DeltaToolCall(name="pick", json_args='{"number": "x"}', tool_call_id="invalid")}
        elif number == 2:
            yield {0: DeltaToolCall(name="pick", json_args='{"number": 1}', tool_call_id="retried")}
        elif number == 3:
            yield {0: DeltaToolCall(name="pick", json_args='{"number": 2}', tool_call_id="failed")}
        else:
            yield "given up"

    async def pick(number: int) -> str:
        if number == 1:
            raise ModelRetry("not one")
        raise ToolFailed("nothing there")

    events = await events_of(Agent(by_request(answer), tools=[Tool(pick, max_retries=5)]))
    failures = {event.tool_call_id: event for event in events if isinstance(event, ToolCallFailed)}
    assert list(failures) == ["invalid", "retried", "failed"]
    assert (failures["retried"].message, failures["retried"].will_retry) == ("not one", True)
    assert (failures["failed"].message, failures["failed"].will_retry) == ("nothing there", False)
    assert failures["invalid"].will_retry
    started = [event.tool_call_id for event in events if isinstance(event, ToolCallStarted)]
    assert started == ["retried", "failed"]


@dataclass(kw_only=True)
class LoadProgressEvent(CustomEvent):
    """How far a tool is."""

    done: int
    label: str


async def test_events_of_the_application_reach_the_log() -> None:
    """R3."""

    async def load(ctx: RunContext[Any]) -> str:
        await ctx.emit(LoadProgressEvent(done=50, label="half"))
        return "loaded"

    events = await events_of(Agent(call_then_say("load", "ok"), tools=[load]))
    custom = [event for event in events if isinstance(event, Custom)]
    assert [(event.type, event.payload) for event in custom] == [("load_progress", {"done": 50, "label": "half"})]


async def test_an_event_of_the_application_is_told_in_a_way_that_everybody_can_read() -> None:
    """R3: one that nobody can would break every stream of its run."""

    async def load(ctx: RunContext[Any]) -> str:
        await ctx.emit(LoadProgressEvent(done=10**400, label="\ud800"))
        return "loaded"

    events = await events_of(Agent(call_then_say("load", "ok"), tools=[load]))
    (payload,) = [event.payload for event in events if isinstance(event, Custom)]
    assert payload == {"done": str(10**400), "label": "?"}


async def test_a_result_too_large_for_an_event_is_left_out_and_its_size_told() -> None:
    """R3: the model still gets it whole."""
    heard: list[int] = []

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if number == 1:
            for index, size in enumerate((RESULT_EVENT_MAX_BYTES - 2, RESULT_EVENT_MAX_BYTES - 1)):
                arguments = json.dumps({"size": size})
                yield {index: DeltaToolCall(name="dump", json_args=arguments, tool_call_id=f"c{index}")}
        else:
            heard.extend(len(str(part.content)) for part in tool_returns_in(messages))
            yield "ok"

    async def dump(size: int) -> str:
        return "x" * size

    events = await events_of(Agent(by_request(answer), tools=[dump]))
    results = [event for event in events if isinstance(event, ToolCallCompleted)]
    assert [(len(event.result_json), event.omitted_bytes) for event in results] == [
        (RESULT_EVENT_MAX_BYTES, 0),
        (0, RESULT_EVENT_MAX_BYTES + 1),
    ]
    assert heard == [RESULT_EVENT_MAX_BYTES - 2, RESULT_EVENT_MAX_BYTES - 1]


async def test_parts_reach_the_model_as_what_they_are() -> None:
    """R1: small ones and one that is stored apart."""
    seen: list[Any] = []

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        part = messages[0].parts[0]
        assert isinstance(part, UserPromptPart)
        seen.extend(part.content)
        yield "seen"

    large = b"\x89PNG" + bytes(100_000)
    parts = [
        TextPart(name="note.txt", text="a note"),
        DataPart(name="chart.png", media_type="image/png", data=large),
        UriPart(uri="https://example.com/cat.jpg"),
    ]
    await events_of(Agent(FunctionModel(stream_function=stream)), "look", parts=parts)
    assert seen[:2] == ["look", "a note"]
    assert isinstance(seen[2], BinaryContent)
    assert (seen[2].data, seen[2].media_type) == (large, "image/png")
    assert isinstance(seen[3], ImageUrl)
    assert seen[3].url == "https://example.com/cat.jpg"


async def test_a_structured_tool_return_keeps_its_extra_content() -> None:
    """R1."""
    heard: list[str] = []

    async def answer(number: int, messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if number == 1:
            yield {0: DeltaToolCall(name="shoot", json_args="{}", tool_call_id="c")}
        else:
            heard.extend(repr(part) for part in messages[-1].parts)
            yield "ok"

    async def shoot() -> ToolReturn[str]:
        return ToolReturn(return_value="a picture", content=["and what is on it"])

    events = await events_of(Agent(by_request(answer), tools=[shoot]))
    completed = next(event for event in events if isinstance(event, ToolCallCompleted))
    assert completed.result_json == '"a picture"'
    assert any("and what is on it" in each for each in heard)


async def test_usage_is_told_for_each_request_and_in_sum() -> None:
    """R10."""

    async def ping() -> str:
        return "pong"

    events = await events_of(Agent(call_then_say("ping", "ok"), tools=[ping]))
    requests = [event.usage for event in events if isinstance(event, ModelRequestCompleted)]
    assert isinstance(events[-1], TaskCompleted)
    total = events[-1].usage
    assert (total.requests, total.tool_calls) == (2, 1)
    assert total.input_tokens == sum(usage.input_tokens for usage in requests)
    assert total.output_tokens == sum(usage.output_tokens for usage in requests)


async def test_half_of_a_surrogate_pair_does_not_break_the_log() -> None:
    """R3: some models split them over deltas."""
    text, _ = "a\ud83d", "not valid by itself"
    events = await events_of(Agent(saying(text, "b")))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a?", "b"]
