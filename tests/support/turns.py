"""Models that take scripted turns, one for each request of a run: the same script serves many runs."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

Call = tuple[str, dict[str, Any]]
"""A tool and its arguments."""

Said = str | Call | Sequence[Call]
"""What a model answers: a text, or one or several tool calls."""

Turn = Said | Callable[[list[ModelMessage]], Said | Awaitable[Said]]
"""A turn; a function gets the conversation so far."""


def taking(*turns: Turn) -> FunctionModel:
    """Return a model that takes these turns in each run, the last one again and again."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        index = sum(isinstance(message, ModelResponse) for message in messages)
        turn = turns[min(index, len(turns) - 1)]
        said = turn(messages) if callable(turn) else turn
        return _response(index, await said if inspect.isawaitable(said) else said)

    return FunctionModel(respond, model_name="turns")


def _response(index: int, said: Said) -> ModelResponse:
    if isinstance(said, str):
        return ModelResponse(parts=[TextPart(said)])
    calls: Sequence[Call] = [said] if isinstance(said, tuple) and isinstance(said[0], str) else said  # pyright: ignore[reportAssignmentType] - the checker cannot tell a call from a sequence of calls
    return ModelResponse(
        parts=[
            ToolCallPart(tool, arguments, tool_call_id=f"call-{index}-{number}")
            for number, (tool, arguments) in enumerate(calls)
        ]
    )


def returned(messages: list[ModelMessage]) -> list[str]:
    """Return what the tools of the last step gave, in the order of their calls."""
    found = [str(part.content) for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
    assert found, messages[-1]
    return found


def all_returned(messages: list[ModelMessage]) -> list[str]:
    """Return what tools gave in the whole conversation, in order."""
    return [str(part.content) for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


def report(messages: list[ModelMessage]) -> str:
    """Say what tools gave in the whole conversation, with a line of dashes between."""
    return "\n---\n".join(all_returned(messages))


def prompts(messages: list[ModelMessage]) -> list[str]:
    """Return what users said, in order."""
    return [str(part.content) for message in messages for part in message.parts if isinstance(part, UserPromptPart)]


def started_ids(messages: list[ModelMessage]) -> list[str]:
    """Return the ids of all tasks that were put into the background, in order."""
    texts = all_returned(messages)
    return [
        line.removeprefix("Task ID: ") for text in texts for line in text.splitlines() if line.startswith("Task ID")
    ]
