"""The handle by which others stop or steer a running task."""

import asyncio
from collections.abc import Callable

from pydantic_ai import CancellationToken

from musterd.domain.clock import Clock
from musterd.domain.ports import CancelOrder, Steer


class RunControl:
    """What the rest of the server may do to one run: cancel it softly or hard, steer it, tell it that it is lost.

    `on_interrupt` is called once, when the run is told to stop where it stands.
    """

    def __init__(self, clock: Clock, on_interrupt: Callable[[], None]) -> None:
        self.token = CancellationToken()
        self.order: CancelOrder | None = None
        self.is_lost = False
        self._steers: list[Steer] = []
        self._clock = clock
        self._on_interrupt = on_interrupt
        self._grace: asyncio.Task[None] | None = None

    def cancel(self, order: CancelOrder) -> None:
        """Stop the run: hard at once, soft at the next boundary between steps or when the grace ends.

        A second order only counts when it is harder than the first.
        """
        if self.order is not None and (self.order.hard or not order.hard):
            return
        self.order = order
        if order.hard:
            self._interrupt()
        else:
            self._grace = asyncio.get_running_loop().create_task(self._interrupt_after(order.grace_seconds))

    async def _interrupt_after(self, grace_seconds: float) -> None:
        await self._clock.sleep(grace_seconds)
        self._interrupt()

    def lose(self) -> None:
        """Stop the run because its task is in other hands."""
        self.is_lost = True
        self._interrupt()

    def _interrupt(self) -> None:
        if not self.token.cancelled:
            self.token.cancel()
            self._on_interrupt()

    async def boundary(self) -> None:
        """Pass, or never return when the run is to stop between steps: the cancellation arrives here."""
        if self.order is not None or self.is_lost:
            self._interrupt()
            await asyncio.get_running_loop().create_future()

    def steer(self, steer: Steer) -> None:
        """Put a message into the run's next model request."""
        self._steers.append(steer)

    def take_steers(self) -> tuple[Steer, ...]:
        """Return the messages that wait, in the order in which they came."""
        steers = tuple(self._steers)
        self._steers.clear()
        return steers

    def close(self) -> None:
        """Stop the grace timer."""
        if self._grace is not None:
            self._grace.cancel()
