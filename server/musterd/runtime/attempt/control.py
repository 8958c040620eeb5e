"""The handle by which others stop or steer a running task."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic_ai import CancellationToken

from musterd.domain.clock import Clock
from musterd.domain.orders import CancelOrder, Steer

T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818 - not an error: it ends what runs outside of an agent's loop
    """The run is told to stop where it stands."""


class RunControl:
    """What the rest of the server may do to one run: cancel it softly or hard, steer it, tell it that it is lost.

    `on_interrupt` is called once, when the run is told to stop where it stands.
    """

    def __init__(self, clock: Clock, on_interrupt: Callable[[], None]) -> None:
        self.token = CancellationToken()
        self.order: CancelOrder | None = None
        self.is_lost = False
        self._steers: list[Steer] = []
        self._known_steer_ids: set[str] = set()
        self._clock = clock
        self._on_interrupt = on_interrupt
        self._grace: asyncio.Task[None] | None = None
        self._interruption: asyncio.Future[None] | None = None
        self._waiters: list[asyncio.Event] = []

    def cancel(self, order: CancelOrder) -> None:
        """Stop the run: hard at once, soft at the next boundary between steps or when the grace ends.

        A second order only counts when it is harder than the first.
        """
        if self.order is not None and (self.order.hard or not order.hard):
            return
        self.order = order
        for waiter in self._waiters:
            waiter.set()
        if order.hard:
            self._interrupt()
        else:
            self._grace = asyncio.get_running_loop().create_task(self._interrupt_after(order.grace_seconds))

    @contextmanager
    def waking(self, waiter: asyncio.Event) -> Generator[None]:
        """Set an event when the run is told to stop, so that a step which only waits may end by itself."""
        self._waiters.append(waiter)
        try:
            yield
        finally:
            self._waiters.remove(waiter)

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
            if self._interruption is not None and not self._interruption.done():
                self._interruption.set_result(None)
            self._on_interrupt()

    def check(self) -> None:
        """Raise Interrupted when the run is to stop between steps; for what runs outside of an agent's loop."""
        if self.order is not None or self.is_lost:
            self._interrupt()
            raise Interrupted

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` gives, for what runs outside of an agent's loop. Raises Interrupted as soon as told to."""
        if self.token.cancelled:
            work.close()
            raise Interrupted
        loop = asyncio.get_running_loop()
        self._interruption = loop.create_future()
        task = loop.create_task(work)
        try:
            await asyncio.wait((task, self._interruption), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Interrupted
            return task.result()
        finally:
            self._interruption = None
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def boundary(self) -> None:
        """Pass, or never return when the run is to stop between steps: the cancellation arrives here."""
        if self.order is not None or self.is_lost:
            self._interrupt()
            await asyncio.get_running_loop().create_future()

    def steer(self, steer: Steer) -> None:
        """Put a message into the run's next model request, once however often it is handed over."""
        if steer.steer_id not in self._known_steer_ids:
            self._known_steer_ids.add(steer.steer_id)
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
