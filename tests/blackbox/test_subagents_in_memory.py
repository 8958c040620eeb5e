"""Subagents in memory do what they do everywhere."""

from typing import Any

import pytest
from pydantic_ai import Agent
from tests.blackbox.subagent_scripts import RunParent
from tests.blackbox.subagents import SubagentBehaviour


class TestInMemory(SubagentBehaviour):
    @pytest.fixture
    def run_parent(self) -> RunParent:
        async def run(agent: Agent[Any, str], prompt: str) -> str:
            return (await agent.run(prompt)).output

        return run
