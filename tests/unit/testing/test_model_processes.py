"""The fake model serves agents of other processes, and notices when one is killed."""

import asyncio
import sys

from musterd.testing.model import FakeModel, gate, text

AGENT = """
import sys
from pydantic_ai import Agent
from musterd.testing.model import connect_model

print(Agent(connect_model(sys.argv[1])).run_sync("from elsewhere").output)
"""


async def start_agent(model: FakeModel) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGENT, model.base_url, stdout=asyncio.subprocess.PIPE
    )


async def test_an_agent_of_another_process_is_answered() -> None:
    async with FakeModel([text("hello there")]) as model:
        process = await start_agent(model)
        output, _ = await process.communicate()
    assert output.decode().strip() == "hello there"
    assert model.requests[0].prompt == "from elsewhere"


async def test_a_killed_process_is_seen_as_a_disconnect() -> None:
    async with FakeModel([text("Hel") + gate("middle") + text("lo")]) as model:
        process = await start_agent(model)
        await model.reached("middle")
        process.kill()
        await model.disconnected(1)
        await process.communicate()
