"""Models in this process that follow a short script."""

from collections.abc import AsyncIterator, Callable

from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from tests.support.gated_model import Delta


def tool_returns_in(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    """Return what tools gave so far, in order."""
    return [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


def call_then_say(tool: str, *said: str, arguments: str = "{}") -> FunctionModel:
    """Return a model that calls a tool once, then answers."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        if tool_returns_in(messages):
            for delta in said:
                yield delta
        else:
            yield {0: DeltaToolCall(name=tool, json_args=arguments, tool_call_id="call-1")}

    return FunctionModel(stream_function=stream)


def by_request(answer: Callable[[int, list[ModelMessage]], AsyncIterator[Delta]]) -> FunctionModel:
    """Return a model whose answer depends on the number of the request, from 1."""
    requests = 0

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        nonlocal requests
        requests += 1
        async for delta in answer(requests, messages):
            yield delta

    return FunctionModel(stream_function=stream)
