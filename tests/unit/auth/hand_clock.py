"""Time that passes when the test says so."""

import asyncio
from datetime import UTC, datetime

EPOCH_UNIX = 1_700_000_000.0


class HandClock:
    """A Clock that stands still until it is advanced. Its wall time starts at EPOCH_UNIX."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: dict[asyncio.Future[None], float] = {}
        self._changed = asyncio.Event()

    def monotonic(self) -> float:
        return self._now

    def now(self) -> datetime:
        return datetime.fromtimestamp(EPOCH_UNIX + self._now, UTC)

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[future] = self._now + seconds
        self._changed.set()
        try:
            await future
        finally:
            self._sleepers.pop(future, None)

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake who has slept long enough."""
        self._now += seconds
        for future, due in list(self._sleepers.items()):
            if due <= self._now:
                del self._sleepers[future]
                future.set_result(None)

    async def until_asleep(self) -> None:
        """Wait until somebody sleeps: then what the last advance woke has done its work."""
        while not self._sleepers:
            self._changed.clear()
            await self._changed.wait()
