"""Patience with the store: work that was accepted does not fail because the store is away for a while."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.runtime.limits import Limits

logger = structlog.get_logger(__name__)

T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]], clock: Clock, limits: Limits) -> T:
    """Repeat a store operation until the store is there."""
    while True:
        try:
            return await call()
        except MusterdError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
            logger.warning("store_unavailable", error=str(error))
            await clock.sleep(error.retry_after_seconds or limits.store_retry_delay_seconds)
