"""Wakes those who wait for tasks, when something happens that they may wait for."""

import asyncio
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager

from musterd.domain.errors import MusterdError
from musterd.domain.event import (
    ApprovalRequested,
    ApprovalResolved,
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
    ApprovalRequested,
    ApprovalResolved,
    TodoChanged,
)


class TaskChanges:
    """Tells waiters when a task ended, needs input, or took a message; listens to the hub.

    `on_watch` is told which tasks somebody begins to wait for, and whether it is others who change them.
    """

    def __init__(self) -> None:
        self._make_error: Callable[[], MusterdError] | None = None
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._waiters_for_others: set[asyncio.Event] = set()
        self.on_watch: Callable[[Collection[str], bool], None] = lambda _keys, _for_others: None

    def notice(self, events: Sequence[Event]) -> None:
        """Take the events of one commit."""
        if not self._waiters:
            return
        for event in events:
            if isinstance(event.payload, WAKING):
                self.wake(event.task_id)
                if isinstance(event.payload, ApprovalRequested):
                    # It is the whole tree that waits for somebody now.
                    self.wake(event.root_task_id)

    def wake(self, task_id: str) -> None:
        """Wake those who wait for a task: it changed without an event of its own."""
        for waiter in self._waiters.get(task_id, ()):
            waiter.set()

    def wake_others(self, is_ours: Callable[[str], bool]) -> Collection[str]:
        """Wake those who wait for what another process may have done, and return the ids of the tasks."""
        woken: list[str] = []
        for task_id, waiters in self._waiters.items():
            waiting = waiters & self._waiters_for_others if is_ours(task_id) else waiters
            if waiting:
                woken.append(task_id)
            for waiter in waiting:
                waiter.set()
        return woken

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
    def watch(self, task_ids: Iterable[str], *, for_others: bool = False) -> Generator[asyncio.Event]:
        """Give an event that is set whenever something happens to one of the tasks. The waiter clears it.

        With `for_others` it is for others to change them, wherever the tasks run: by an answer, or a todo.
        """
        waiter = asyncio.Event()
        watched = set(task_ids)
        self.on_watch(watched, for_others)
        if for_others:
            self._waiters_for_others.add(waiter)
        for task_id in watched:
            self._waiters.setdefault(task_id, set()).add(waiter)
        try:
            yield waiter
        finally:
            self._waiters_for_others.discard(waiter)
            for task_id in watched:
                waiters = self._waiters[task_id]
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[task_id]
