"""How long this process may work on its tasks: as long as it tells the store in time that it lives."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError
from musterd.domain.ports import Store
from musterd.runtime.failures import traceback_of
from musterd.runtime.ownership import Ownership, new_owner

logger = structlog.get_logger(__name__)

RENEWALS_PER_LEASE = 3
SAFE_PART = 0.8
"""After which part of a lease its holder stops, so that it does when another process may begin."""

RETRY_PART = 0.05
"""How long to wait before a renewal that failed is tried again, as a part of the lease."""


class Lease:
    """Says that the owner of this process lives.

    A lease that is lost is never revived: `on_lost` is called, which must stop all that runs, and the process goes on
    under a new name with a new lease as soon as the store gives one.
    """

    def __init__(self, ownership: Ownership, *, store: Store, clock: Clock, seconds: float) -> None:
        self._ownership = ownership
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._renewed_at = 0.0
        self._on_lost: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    async def open(self, on_lost: Callable[[], None]) -> None:
        """Take the first lease, and keep it. Raises STORE_UNAVAILABLE."""
        self._on_lost = on_lost
        await self._begin()
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="lease")

    async def close(self) -> None:
        """Let the lease go: what this process left is free at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not self._ownership.is_lost:
            with suppress(MusterdError):
                await self._store.end_lease(self._ownership.owner)

    async def _begin(self) -> None:
        owner, started_at = new_owner(), self._clock.monotonic()
        await self._store.add_lease(owner, self._seconds)
        self._ownership.owner, self._ownership.is_lost = owner, False
        self._renewed_at = started_at

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(self._seconds / RENEWALS_PER_LEASE)
            if await self._renew_in_time():
                continue
            self._ownership.is_lost = True
            logger.error("lease_lost", owner=self._ownership.owner)
            self._on_lost()
            await self._begin_again()

    async def _renew_in_time(self) -> bool:
        """Renew the lease. Returns False when it has run out, or is so near to it that it must count as such."""
        while (left := self._renewed_at + self._seconds * SAFE_PART - self._clock.monotonic()) > 0:
            started_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(left):
                    if not await self._store.renew_lease(self._ownership.owner, self._seconds):
                        return False
            except Exception as error:  # noqa: BLE001 - whatever it is, the lease is kept or lost, and never forgotten
                logger.warning("lease_not_renewed", error=_told(error))
                await self._clock.sleep(min(left, self._seconds * RETRY_PART))
                continue
            self._renewed_at = started_at
            return True
        return False

    async def _begin_again(self) -> None:
        while True:
            try:
                await self._begin()
            except Exception as error:  # noqa: BLE001 - this process works on nothing until it has another one
                logger.warning("lease_not_given", error=_told(error))
                await self._clock.sleep(self._seconds * RETRY_PART)
            else:
                return


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, MusterdError | TimeoutError) else traceback_of(error)
