"""A model behind a door for each run, and agents that delegate to it: who may run when is seen at the doors."""

import asyncio
import json
from collections.abc import AsyncIterator

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.gated_model import prompts_in
from tests.support.scripted import call_then_say

from musterd.subagents import SubAgentConfig, create_subagent_toolset

GUARD_SECONDS = 60


class Doors:
    """Each run whose model asks at a door stops there until it is let in; its first prompt is its name.

    `order` are the names in the order in which they came, `most_at_once` is how many stood there together at most.
    `first_words` are what the model says before it stops.
    """

    def __init__(self, first_words: str = "") -> None:
        self.order: list[str] = []
        self.waiting: set[str] = set()
        self.most_at_once = 0
        self._open: set[str] = set()
        self._all_open = False
        self._first_words = first_words
        self._changed = asyncio.Condition()

    @property
    def model(self) -> FunctionModel:
        return FunctionModel(stream_function=self._stream)

    async def came(self, *names: str) -> None:
        """Return once these have come."""
        async with asyncio.timeout(GUARD_SECONDS), self._changed:
            await self._changed.wait_for(lambda: set(names) <= set(self.order))

    async def came_in_all(self, count: int) -> None:
        """Return once so many have come."""
        async with asyncio.timeout(GUARD_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.order) >= count)

    async def let_in(self, *names: str) -> None:
        """Open the doors of these."""
        async with self._changed:
            self._open.update(names)
            self._changed.notify_all()

    async def let_all_in(self) -> None:
        """Open all doors, also those of runs that come later."""
        async with self._changed:
            self._all_open = True
            self._changed.notify_all()

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        name = prompts_in(messages)[0]
        if self._first_words:
            yield self._first_words
        async with self._changed:
            self.order.append(name)
            self.waiting.add(name)
            self.most_at_once = max(self.most_at_once, len(self.waiting))
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: self._all_open or name in self._open)
            finally:
                self.waiting.discard(name)
        yield f"{name} is done"


def subagent(name: str, agent: Agent[None, str]) -> SubAgentConfig:
    """Return an agent as a subagent that asks nothing."""
    return {
        "name": name,
        "description": f"does what {name} does",
        "instructions": "",
        "agent": agent,
        "can_ask_questions": False,
    }


def delegating(name: str, below: SubAgentConfig, *, nesting: int = 0) -> Agent[None, str]:
    """Return an agent that gives one task to a subagent, waits for it, and says that it is done."""
    arguments = json.dumps({"description": "do your part", "subagent_type": below["name"]})
    toolset = create_subagent_toolset([below], include_general_purpose=False, max_nesting_depth=nesting)
    return Agent(call_then_say("task", f"{name} is done", arguments=arguments), name=name, toolsets=[toolset])
