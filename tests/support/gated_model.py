"""Models in this process that stop where a test wants them to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from pydantic_ai.messages import ModelMessage, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingCalls, DeltaToolCalls, FunctionModel

Delta = str | DeltaToolCalls | DeltaThinkingCalls
Stream = Callable[[list[ModelMessage], AgentInfo], AsyncIterator[Delta]]


@dataclass
class Gate:
    """A place where a model or tool waits. `reached` is set when it got there, `open()` lets it pass."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        self.reached.set()
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()


def saying(*deltas: str) -> FunctionModel:
    """Return a model that always answers with these deltas."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for delta in deltas:
            yield delta

    return FunctionModel(stream_function=stream)


def stopping(gate: Gate, before: tuple[str, ...] = (), after: tuple[str, ...] = ("done",)) -> FunctionModel:
    """Return a model that waits at a gate in the middle of each answer."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for delta in before:
            yield delta
        await gate.wait()
        for delta in after:
            yield delta

    return FunctionModel(stream_function=stream)


def prompts_in(messages: list[ModelMessage]) -> list[str]:
    """Return what users said so far, in order."""
    return [str(part.content) for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
