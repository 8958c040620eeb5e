"""Models that take their turns one after another: each says something, calls a tool, or waits first."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from tests.support.gated_model import Gate, prompts_in
from tests.support.scripted import tool_returns_in

MOST_LOOKS = 40
"""How often a model looks whether something has come true, before the test fails."""

YIELDS_BETWEEN_LOOKS = 50

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Until:
    """Calls a tool again and again, until what it returns satisfies a condition."""

    tool: str
    condition: Callable[[str], bool]


Turn = str | Call | Gate | asyncio.Event | Until | Callable[[list[str]], Call]
"""What a model says, which tool it calls, or what it waits for first. A function is given what tools returned."""


class Script:
    """A model with a list of turns, which remembers what was in each request and what it was instructed."""

    def __init__(self, *turns: Turn) -> None:
        self._turns = list(turns)
        self._calls = 0
        self._looks = 0
        self.requests: list[list[ModelMessage]] = []
        self.instructions: list[str] = []

    @property
    def model(self) -> FunctionModel:
        return FunctionModel(self.respond, stream_function=self._stream)

    def said_to(self, request: int = -1) -> list[str]:
        """Return what users said in a request, the last one without a number."""
        return prompts_in(self.requests[request])

    def returned_to(self, request: int = -1) -> list[str]:
        """Return what tools gave in a request."""
        return [str(part.content) for part in tool_returns_in(self.requests[request])]

    async def respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """Take the next turn. For a model that several scripts share."""
        turn = await self._next(messages, info)
        if isinstance(turn, str):
            return ModelResponse(parts=[TextPart(turn)])
        return ModelResponse(parts=[ToolCallPart(*turn, tool_call_id=self._call_id())])

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncGenerator[str | DeltaToolCalls]:
        turn = await self._next(messages, info)
        if isinstance(turn, str):
            yield turn
        else:
            name, arguments = turn
            yield {0: DeltaToolCall(name=name, json_args=json.dumps(arguments), tool_call_id=self._call_id())}

    def _call_id(self) -> str:
        self._calls += 1
        return f"call-{self._calls}"

    async def _next(self, messages: list[ModelMessage], info: AgentInfo) -> str | Call:
        self.requests.append(list(messages))
        self.instructions.append(info.instructions or "")
        while True:
            match turn := self._turns.pop(0):
                case Gate() | asyncio.Event():
                    await turn.wait()
                case Until():
                    if not self._looks or not turn.condition(self.returned_to()[-1]):
                        return await self._look_again(turn)
                    self._looks = 0
                case str() | tuple():
                    return turn
                case _:
                    return turn(self.returned_to())

    async def _look_again(self, turn: Until) -> Call:
        if self._looks == MOST_LOOKS:
            raise AssertionError(f"{turn.tool} never returned what was waited for: {self.returned_to()[-1]}")
        for _ in range(YIELDS_BETWEEN_LOOKS):
            await asyncio.sleep(0)
        self._looks += 1
        self._turns.insert(0, turn)
        return turn.tool, {}
