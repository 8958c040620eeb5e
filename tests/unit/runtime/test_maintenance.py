"""When the store is looked after."""

import asyncio
from typing import cast

from tests.support.clocks import DrivenClock

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ports import Store
from musterd.runtime.maintenance import MAINTENANCE_SECONDS, Maintenance


class Tended:
    """Counts how often it is looked after, and fails as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.times = 0
        self._failures = list(failures)

    async def maintain(self) -> None:
        self.times += 1
        if self._failures:
            raise self._failures.pop(0)


async def test_the_store_is_looked_after_at_the_start_and_every_hour() -> None:
    """R3."""
    tended, clock = Tended(), DrivenClock()
    maintenance = Maintenance(store=cast("Store", tended), clock=clock)
    maintenance.start()
    for times in (1, 2, 3):
        await clock.sleeping(seconds=MAINTENANCE_SECONDS)
        clock.advance(MAINTENANCE_SECONDS - 1)
        await asyncio.sleep(0)
        assert tended.times == times
        clock.advance(1)
    await maintenance.close()


async def test_what_fails_is_tried_again_an_hour_later() -> None:
    """R3."""
    away = MusterdError(reason=Reason.STORE_UNAVAILABLE, message="the store is away")
    tended, clock = Tended(away, RuntimeError("broken")), DrivenClock()
    maintenance = Maintenance(store=cast("Store", tended), clock=clock)
    maintenance.start()
    for times in (1, 2, 3):
        await clock.sleeping(seconds=MAINTENANCE_SECONDS)
        assert tended.times == times
        clock.advance(MAINTENANCE_SECONDS)
    await maintenance.close()


async def test_one_that_never_began_can_be_closed() -> None:
    """R3."""
    tended = Tended()
    await Maintenance(store=cast("Store", tended), clock=DrivenClock()).close()
    assert tended.times == 0
