"""Lets things wait together, so that what follows is done once for all of them."""

import asyncio
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """Things that wait: all of them go once the first has waited for long enough, in the order in which they came."""

    def __init__(self, release: Callable[[Collection[T]], None]) -> None:
        self._release = release
        self._waiting: dict[T, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, thing: T, seconds: float) -> None:
        """Let a thing wait, at most so long; when others wait already, no longer than they do."""
        self._waiting[thing] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.release)

    def discard(self, thing: T) -> None:
        """Let a thing that may be here wait no longer."""
        self._waiting.pop(thing, None)

    def release(self) -> None:
        """Let all go now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._release(waiting)
