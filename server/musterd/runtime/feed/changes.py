"""Wakes those who wait for tasks, when something happens that they may wait for."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager

from musterd.domain.errors import MusterdError
from musterd.domain.event import (
    AuthRequired,
    Event,
    QuestionAnswered,
    QuestionAsked,
    QuestionExpired,
    Steered,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TodoChanged,
)

WAKING = (
    TaskCompleted,
    TaskFailed,
    TaskCanceled,
    AuthRequired,
    Steered,
    QuestionAsked,
    QuestionAnswered,
    QuestionExpired,
    TodoChanged,
)


class TaskChanges:
    """Tells waiters when a task ended, needs input, or took a message; listens to the hub."""

    def __init__(self) -> None:
        self._make_error: Callable[[], MusterdError] | None = None
        self._waiters: dict[str, set[asyncio.Event]] = {}

    def notice(self, events: Sequence[Event]) -> None:
        """Take the events of one commit."""
        if not self._waiters:
            return
        for event in events:
            if event.task_id in self._waiters and isinstance(event.payload, WAKING):
                for waiter in self._waiters[event.task_id]:
                    waiter.set()

    def wake(self, task_id: str) -> None:
        """Wake those who wait for a task: it changed without an event of its own."""
        for waiter in self._waiters.get(task_id, ()):
            waiter.set()

    def close(self, make_error: Callable[[], MusterdError]) -> None:
        """Let every wait, and every one that begins later, end with an error of its own."""
        self._make_error = make_error
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.set()

    async def happens(self, waiter: asyncio.Event, seconds: float) -> bool:
        """Return True once the waiter is set, False when the time runs out; clears it.

        Raises what `close` was given.
        """
        if self._make_error is None:
            try:
                async with asyncio.timeout(seconds):
                    await waiter.wait()
            except TimeoutError:
                return False
            waiter.clear()
        if self._make_error is not None:
            raise self._make_error()
        return True

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
