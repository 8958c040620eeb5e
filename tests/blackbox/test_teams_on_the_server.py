"""Teams on the server do what they do everywhere."""

from typing import Any

import pytest
from pydantic_ai import Agent
from tests.blackbox.teams import RunParent, TeamToolsetBehaviour
from tests.blackbox.teams_of_subagents import TeamOfSubagentsBehaviour

from musterd import Musterd
from musterd.testing import serve


class TestOnTheServer(TeamToolsetBehaviour, TeamOfSubagentsBehaviour):
    @pytest.fixture
    def run_parent(self) -> RunParent:
        async def run(agent: Agent[Any, str], prompt: str) -> str:
            async with serve(Musterd(agents=[agent])) as client:
                return (await client.run_agent(agent.name or "", prompt).result()).text

        return run
