"""Readers that follow a stream beside the test, and tell when they have seen something."""

import asyncio
from collections.abc import Callable
from typing import Self

from musterd_client import Event, EventStream

GUARD_SECONDS = 60


class Follower:
    """Reads a stream to its end in a task of its own. Use it as an async context manager."""

    def __init__(self, stream: EventStream) -> None:
        self.events: list[Event] = []
        self._stream = stream
        self._news = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None
        self._is_over = False

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._stream.aclose()

    async def task_id(self) -> str:
        """Return the id of the task whose stream it is, once the first event has come."""
        return (await self.seen(lambda _: True)).task_id

    async def seen(self, wanted: Callable[[Event], bool]) -> Event:
        """Return the first wanted event, once it has come. Fails when the stream ends without it."""

        def find() -> Event | None:
            return next(filter(wanted, self.events), None)

        async with asyncio.timeout(GUARD_SECONDS), self._news:
            await self._news.wait_for(lambda: find() or self._is_over)
        found = find()
        assert found is not None, await self.ended()
        return found

    async def ended(self) -> list[Event]:
        """Return all events once the stream has ended. Raises what the stream raises."""
        assert self._reading is not None
        async with asyncio.timeout(GUARD_SECONDS):
            await self._reading
        return self.events

    async def _read(self) -> None:
        try:
            async for event in self._stream:
                async with self._news:
                    self.events.append(event)
                    self._news.notify_all()
        finally:
            async with self._news:
                self._is_over = True
                self._news.notify_all()
