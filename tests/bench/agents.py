"""The agents that the bench runs, the same on the server and in process: their models are functions."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

DELTAS = 100
PACE_SECONDS = 0.02
LIVE_PACE_SECONDS = 0.05
PLAIN_ANSWER = "A short answer."

Messages = list[ModelMessage]


class Gates:
    """When models that wait go on, and when they end."""

    def __init__(self) -> None:
        self.begin = asyncio.Event()
        self.end = asyncio.Event()


def bench_agents(gates: Gates) -> Sequence[Agent[object]]:
    """Return the agents, each named after its model's function."""

    async def burst(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
        for number in range(DELTAS):
            yield f"tok{number} "

    async def paced(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
        for number in range(DELTAS):
            yield f"tok{number} "
            await asyncio.sleep(PACE_SECONDS)

    async def live(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
        yield "tok "
        await gates.begin.wait()
        number = 0
        while not gates.end.is_set():
            yield f"tok{number} "
            number += 1
            await asyncio.sleep(LIVE_PACE_SECONDS)

    async def plain(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
        yield PLAIN_ANSWER

    async def plain_whole(_messages: Messages, _info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(PLAIN_ANSWER)])

    async def held(_messages: Messages, _info: AgentInfo) -> AsyncIterator[str]:
        yield PLAIN_ANSWER
        await gates.end.wait()

    async def held_whole(_messages: Messages, _info: AgentInfo) -> ModelResponse:
        await gates.end.wait()
        return ModelResponse(parts=[TextPart(PLAIN_ANSWER)])

    return (
        *(Agent(FunctionModel(stream_function=each), name=each.__name__) for each in (burst, paced, live)),
        Agent(FunctionModel(plain_whole, stream_function=plain), name="plain"),
        Agent(FunctionModel(held_whole, stream_function=held), name="held"),
    )
