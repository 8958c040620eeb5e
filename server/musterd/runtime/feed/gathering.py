"""Lets things wait together, so that what follows is done once for all of them."""

import asyncio
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """Things that wait: all of them go once the first has waited for long enough, in the order in which they came.

    `lag_seconds` is by how much the event loop was late when they last went: how much there is to do.
    """

    def __init__(self, release: Callable[[Collection[T]], None]) -> None:
        self._release = release
        self._waiting: dict[T, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.lag_seconds = 0.0

    def add(self, thing: T, seconds: float) -> None:
        """Let a thing wait, at most so long; when others wait already, no longer than they do."""
        self._waiting[thing] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def discard(self, thing: T) -> None:
        """Let a thing that may be here wait no longer."""
        self._waiting.pop(thing, None)
        if not self._waiting:
            self._stop_timer()

    def _ring(self) -> None:
        if self._timer is not None:
            self.lag_seconds = asyncio.get_running_loop().time() - self._timer.when()
        self.release()

    def release(self) -> None:
        """Let all go now."""
        self._stop_timer()
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._release(waiting)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
