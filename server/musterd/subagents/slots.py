"""Who may run: so many tasks at a time, the urgent ones first, and none waits for ever."""

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

from musterd.subagents.status import TaskPriority

MAX_RUNNING_TASKS = 16
"""How many tasks of one toolset run at a time in memory."""

MAX_QUEUED_TASKS = 1_000
"""How many tasks of one toolset may wait for their turn in memory."""

AGING_SECONDS = 60.0
"""A task that waits this long goes before one that came now with the next higher priority."""

_RANKS = {priority: rank for rank, priority in enumerate(TaskPriority)}


class QueueFullError(Exception):
    """As many tasks wait for their turn as may."""


class Slots:
    """Hands out the right to run.

    The queue is ordered by the time a task came, less `AGING_SECONDS` for each step of its priority: so what is urgent
    goes first, and whatever waits comes first in the end.
    """

    def __init__(
        self,
        max_running: int = MAX_RUNNING_TASKS,
        max_queued: int = MAX_QUEUED_TASKS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("max_running_tasks", max_running), ("max_queued_tasks", max_queued)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, it is {value}")
        self._max_running = max_running
        self._max_queued = max_queued
        self._monotonic = monotonic
        self._running = 0
        self._queue: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def reserve(self, priority: TaskPriority) -> "Slot":
        """Return a place in the queue for a new task. Raises QueueFullError."""
        if sum(not turn.done() for *_, turn in self._queue) >= self._max_queued:
            raise QueueFullError
        return Slot(self, self._monotonic() - _RANKS[priority] * AGING_SECONDS)

    def queue_up(self, place: float) -> "asyncio.Future[None]":
        """Return what is done when the turn of this place has come; the smallest place comes first."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (place, next(self._order), turn))
        self._serve()
        return turn

    def squeeze_in(self) -> "asyncio.Future[None]":
        """Return a turn that has come, even if that makes one more run than may."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn.set_result(None)
        self._running += 1
        return turn

    def leave(self, turn: "asyncio.Future[None]") -> None:
        """Give a turn back, or a place in the queue."""
        if turn.done() and not turn.cancelled():
            self._running -= 1
            self._serve()
        else:
            turn.cancel()

    def _serve(self) -> None:
        while self._queue and self._running < self._max_running:
            *_, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_result(None)
                self._running += 1


class Slot:
    """A task's right to run, or its place in the queue for it."""

    def __init__(self, slots: Slots, place: float) -> None:
        self._slots = slots
        self._place = place
        self._turn: asyncio.Future[None] | None = slots.queue_up(place)
        self._waits = 0

    async def take(self) -> None:
        """Return when the task's turn has come, or when the task has stepped aside meanwhile."""
        while self._turn is not None and not self._turn.done():
            await asyncio.wait((self._turn,))

    def give_back(self) -> None:
        """Let another task run instead, or leave the queue. The second time it does nothing."""
        if self._turn is not None:
            turn, self._turn = self._turn, None
            self._slots.leave(turn)

    @asynccontextmanager
    async def stepping_aside(self) -> AsyncGenerator[None]:
        """Let others run while the task waits for something; at the end wait for its turn again.

        The task may wait for several things at once: it steps aside with the first and is back with the last. Whoever
        stops waiting by an exception does not queue up: it is about to end, or has a limit of its own to keep.
        """
        self._waits += 1
        if self._waits == 1:
            self.give_back()
        try:
            yield
        except BaseException:
            self._waits -= 1
            if self._waits == 0:
                self._turn = self._slots.squeeze_in()
            raise
        self._waits -= 1
        if self._waits == 0:
            self._turn = self._slots.queue_up(self._place)
            await self.take()


current_slot: ContextVar[Slot | None] = ContextVar("musterd-subagent-slot", default=None)
"""The slot of the task that runs in this context."""


@asynccontextmanager
async def stepping_aside() -> AsyncGenerator[None]:
    """Let others run while the task in this context waits, if it is one."""
    slot = current_slot.get()
    if slot is None:
        yield
        return
    async with slot.stepping_aside():
        yield
