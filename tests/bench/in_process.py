"""What the server is compared with: the same agents, run by pydantic-ai alone in a process of its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent
from tests.bench.agents import Gated, bench_agents
from tests.bench.commands import answer_commands, say, tune_collector

PROMPT = "hi"
SETTLE_SECONDS = 1.0


class Baseline:
    """Runs agents as it is told."""

    def __init__(self) -> None:
        self._gated = Gated()
        self._agents: Mapping[str | None, Agent[object]] = {agent.name: agent for agent in bench_agents(self._gated)}
        self._deltas = 0

    async def answer(self, command: dict[str, Any]) -> object:
        """Run agents as the command says. Returns the times to the first delta, or the deltas a second."""
        agent = self._agents[command["agent"]]
        runs, at_once = command["runs"], command.get("at_once", 1)
        match command["do"]:
            case "run":
                return await _repeat(lambda: self._run(agent), runs, at_once)
            case "stream":
                return await _repeat(lambda: self._stream(agent), runs, at_once)
            case "live":
                return await self._live(agent, runs, command["seconds"])
            case "hold":
                self._held = [asyncio.create_task(self._run(agent)) for _ in range(runs)]
                await self._gated.all_wait(runs)
                return None
            case other:
                raise ValueError(other)

    async def _run(self, agent: Agent[object]) -> float:
        await agent.run(PROMPT, infer_name=False)
        return 0.0

    async def _stream(self, agent: Agent[object]) -> float:
        begun_at, first_at = time.perf_counter(), 0.0
        async with agent.run_stream_events(PROMPT, infer_name=False) as events:
            async for event in events:
                if isinstance(event, PartDeltaEvent | PartStartEvent):
                    first_at = first_at or time.perf_counter()
                    self._deltas += 1
        return first_at - begun_at

    async def _live(self, agent: Agent[object], runs: int, seconds: float) -> float:
        tasks = [asyncio.create_task(self._stream(agent)) for _ in range(runs)]
        await self._gated.all_wait(runs)
        self._gated.begin()
        await asyncio.sleep(SETTLE_SECONDS)
        before, begun_at = self._deltas, time.perf_counter()
        await asyncio.sleep(seconds)
        rate = (self._deltas - before) / (time.perf_counter() - begun_at)
        self._gated.end()
        await asyncio.gather(*tasks)
        return rate


async def _repeat(call: Callable[[], Awaitable[float]], runs: int, at_once: int) -> list[float]:
    """Run `runs` calls, `at_once` of them at any time."""
    results: list[float] = []
    left = iter(range(runs))

    async def work() -> None:
        results.extend([await call() for _ in left])

    await asyncio.gather(*(work() for _ in range(at_once)))
    return results


async def main() -> None:
    """Run agents until the bench goes away."""
    baseline = Baseline()
    tune_collector()
    say("ready")
    await answer_commands(baseline.answer)


if __name__ == "__main__":
    asyncio.run(main())
