"""A clock that a test drives: nobody waits for real."""

import asyncio
from datetime import UTC, datetime, timedelta


class DrivenClock:
    """Time that stands still until it is advanced. `sleeping` tells when somebody waits for a given length."""

    def __init__(self) -> None:
        self._elapsed_seconds = 0.0
        self._start = datetime.now(UTC)
        self._sleepers: list[tuple[float, float, asyncio.Future[None]]] = []
        self._changed = asyncio.Condition()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_seconds)

    def monotonic(self) -> float:
        return self._elapsed_seconds

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeper = (seconds, self._elapsed_seconds + seconds, future)
        async with self._changed:
            self._sleepers.append(sleeper)
            self._changed.notify_all()
        try:
            await future
        finally:
            self._sleepers.remove(sleeper)

    async def sleeping(self, *, seconds: float) -> None:
        """Return once somebody sleeps for this long, and the time has not come yet."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: any(length == seconds and not each.done() for length, _, each in self._sleepers)
            )

    def advance(self, seconds: float) -> None:
        self._elapsed_seconds += seconds
        for _, end, future in self._sleepers:
            if end <= self._elapsed_seconds and not future.done():
                future.set_result(None)
