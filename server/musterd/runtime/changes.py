"""Wakes those who wait for tasks, when something happens that they may wait for."""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from musterd.domain.event import AuthRequired, Event, Steered, TaskCanceled, TaskCompleted, TaskFailed

WAKING = (TaskCompleted, TaskFailed, TaskCanceled, AuthRequired, Steered)


class TaskChanges:
    """Tells waiters when a task ended, needs input, or took a message; listens to the hub."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Event]] = {}

    def notice(self, events: Sequence[Event]) -> None:
        """Take the events of one commit."""
        if not self._waiters:
            return
        for event in events:
            if event.task_id in self._waiters and isinstance(event.payload, WAKING):
                for waiter in self._waiters[event.task_id]:
                    waiter.set()

    @contextmanager
    def watch(self, task_ids: Iterable[str]) -> Generator[asyncio.Event]:
        """Give an event that is set whenever something happens to one of the tasks. The waiter clears it."""
        waiter = asyncio.Event()
        watched = set(task_ids)
        for task_id in watched:
            self._waiters.setdefault(task_id, set()).add(waiter)
        try:
            yield waiter
        finally:
            for task_id in watched:
                waiters = self._waiters[task_id]
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[task_id]


async def wait_until(waiter: asyncio.Event, seconds: float) -> bool:
    """Return True once the waiter is set, False when the time runs out; clears it."""
    try:
        async with asyncio.timeout(seconds):
            await waiter.wait()
    except TimeoutError:
        return False
    waiter.clear()
    return True
