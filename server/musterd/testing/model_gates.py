"""Named points at which the fake model's answers wait for the test."""

import asyncio
from collections import Counter, defaultdict


class Gates:
    """Counts who came to each gate, and keeps them there until it is released."""

    def __init__(self) -> None:
        self._arrivals: Counter[str] = Counter()
        self._arrival = asyncio.Condition()
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def enter(self, name: str) -> None:
        """Say that an answer has come to the gate, and return once the gate is open."""
        async with self._arrival:
            self._arrivals[name] += 1
            self._arrival.notify_all()
        await self._open[name].wait()

    async def reached(self, name: str, times: int) -> None:
        """Return once `times` answers have come to the gate, open or not."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: self._arrivals[name] >= times)

    def release(self, name: str) -> None:
        """Open the gate for all who wait there and all who come later."""
        self._open[name].set()

    def describe(self) -> str:
        """Return how many came to which gate, for error texts."""
        return ", ".join(f"{name}: {count}" for name, count in sorted(self._arrivals.items())) or "none"
