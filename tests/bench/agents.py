"""The agents that the bench runs, the same on the server and in process: their models are functions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.bench.delegating import delegating_agents

DELTAS = 100
BRIEF_DELTAS = 5
PACE_SECONDS = 0.02
LIVE_PACE_SECONDS = 0.05
ALL_WAIT_SECONDS = 60.0
ANSWER = "A short answer."

Messages = list[ModelMessage]


async def burst(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
    """Stream as fast as can be."""
    for number in range(DELTAS):
        yield f"tok{number} "


async def paced(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
    """Stream at the pace of a quick model."""
    for number in range(DELTAS):
        yield f"tok{number} "
        await asyncio.sleep(PACE_SECONDS)


async def brief(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
    """Stream a little at that pace."""
    for number in range(BRIEF_DELTAS):
        yield f"tok{number} "
        await asyncio.sleep(PACE_SECONDS)


async def plain(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
    """Stream one short answer."""
    yield ANSWER


async def plain_whole(_messages: Messages, _info: AgentInfo) -> ModelResponse:
    """Give one short answer."""
    return ModelResponse(parts=[TextPart(ANSWER)])


class Gated:
    """Models that wait until they are told to go on."""

    def __init__(self) -> None:
        self._waiting = asyncio.Semaphore(0)
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()

    async def all_wait(self, runs: int) -> None:
        """Return once so many models wait: fewer if calls got lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ALL_WAIT_SECONDS):
                for _ in range(runs):
                    await self._waiting.acquire()

    def begin(self) -> None:
        """Let the live models stream."""
        self._begun.set()

    def end(self) -> None:
        """Let all models come to their end."""
        self._ended.set()

    async def live(self, _messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
        """Stream from `begin` to `end`."""
        yield "tok "
        self._waiting.release()
        await self._begun.wait()
        number = 0
        while not self._ended.is_set():
            yield f"tok{number} "
            number += 1
            await asyncio.sleep(LIVE_PACE_SECONDS)

    async def held(self, _messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
        """Stream one delta and wait."""
        yield ANSWER
        self._waiting.release()
        await self._ended.wait()

    async def held_whole(self, _messages: Messages, _info: AgentInfo) -> ModelResponse:
        """Wait, and give an answer."""
        self._waiting.release()
        await self._ended.wait()
        return ModelResponse(parts=[TextPart(ANSWER)])


def bench_agents(gated: Gated) -> Sequence[Agent[object]]:
    """Return the agents, named after their models."""
    plain_agent = Agent[object](FunctionModel(plain_whole, stream_function=plain), name="plain")
    return (
        Agent(FunctionModel(stream_function=burst), name="burst"),
        Agent(FunctionModel(stream_function=paced), name="paced"),
        Agent(FunctionModel(stream_function=brief), name="brief"),
        plain_agent,
        Agent(FunctionModel(stream_function=gated.live), name="live"),
        Agent(FunctionModel(gated.held_whole, stream_function=gated.held), name="held"),
        *delegating_agents(plain_agent, ANSWER),
    )
