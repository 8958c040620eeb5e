"""The app that the replicas of the soak serve: short runs with one tool call, which may be made again."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from musterd import Musterd

LEDGER = Path(os.environ["MILL_LEDGER"])
PACE_SECONDS = 0.01
"""How long a piece of an answer and a tool take: a replica that is killed has runs at every point."""


async def stream(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
    """Ask for the tool, and say what it returned."""
    parts = [part for message in messages for part in message.parts]
    await asyncio.sleep(PACE_SECONDS)
    returned = [str(part.content) for part in parts if isinstance(part, ToolReturnPart)]
    if returned:
        for word in returned[0].split():
            yield f"{word} "
            await asyncio.sleep(PACE_SECONDS)
    else:
        what = next(str(part.content) for part in parts if isinstance(part, UserPromptPart))
        yield {0: DeltaToolCall(name="note", json_args=json.dumps({"what": what}), tool_call_id="note")}


def write_down(what: str) -> None:
    """Leave a line where no crash undoes it."""
    with LEDGER.open("a") as ledger:
        ledger.write(f"{what}\n")


async def note(what: str) -> str:
    """Write down what was really done."""
    write_down(what)
    await asyncio.sleep(PACE_SECONDS)
    return f"{what} is noted"


miller = Agent(
    FunctionModel(stream_function=stream), name="miller", tools=[Tool(note, metadata={"musterd_repeatable": True})]
)

app = Musterd(agents=[miller])
