"""Has the store looked after now and then, beside all that runs."""

import asyncio

import structlog

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError
from musterd.domain.ports import Store
from musterd.runtime.failures import traceback_of

logger = structlog.get_logger(__name__)

MAINTENANCE_SECONDS = 3_600.0


class Maintenance:
    """Calls the store's `maintain` at the start and every hour. What fails is tried again an hour later."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._go_on(), name="maintenance")

    async def close(self) -> None:
        """Begin no more of it. What the store is at comes to its end there."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        while True:
            try:
                await self._store.maintain()
            except MusterdError as error:
                logger.warning("maintenance_failed", error=str(error))
            except Exception as error:  # noqa: BLE001 - the next time must come
                logger.error("maintenance_failed", exception=traceback_of(error))  # noqa: TRY400 - it has it
            await self._clock.sleep(MAINTENANCE_SECONDS)
