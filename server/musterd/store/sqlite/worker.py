"""A thread that works through calls in batches and gives their results back to the event loop, batch by batch."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

from musterd.domain.event import Event
from musterd.domain.ports import CommitListener

C = TypeVar("C")
T = TypeVar("T")


@dataclass(slots=True)
class Job(Generic[C]):
    """A call that waits for the thread, and what came of it."""

    call: Callable[[C], object]
    future: asyncio.Future[Any]
    result: object = None
    error: Exception | None = None


Process = Callable[[Sequence[Job[C]]], Sequence[Event]]
"""Runs jobs in the thread, leaves each one's result or error in it, and returns the events that were committed."""


class Worker(Generic[C]):
    """One thread and its queue. Made and used on the event loop's thread.

    What is submitted within one turn of the loop goes to the thread together, and what waits while the thread works
    is its next batch. Per batch the loop is called once: `on_commit` with the events, then every caller.
    """

    def __init__(self, name: str, process: Process[C], on_commit: CommitListener) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._on_commit = on_commit
        self._submitted: list[Job[C]] = []
        self._queue: SimpleQueue[list[Job[C]] | None] = SimpleQueue()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, call: Callable[[C], T]) -> asyncio.Future[T]:
        """Have `call` run in the thread. Who stops to wait for the future does not stop the call."""
        if not self._submitted:
            self._loop.call_soon(self._hand_over)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._submitted.append(Job(call, future))
        return cast("asyncio.Future[T]", future)

    async def close(self) -> None:
        """Return once all that was submitted is done and the thread has ended."""
        self._hand_over()
        self._queue.put(None)
        await self._ended

    def _hand_over(self) -> None:
        if self._submitted:
            self._queue.put(self._submitted)
            self._submitted = []

    def _run(self) -> None:
        is_open = True
        while is_open:
            jobs, is_open = self._take()
            if jobs:
                self._work(jobs)
        self._call_loop(self._ended.set_result, None)

    def _take(self) -> tuple[list[Job[C]], bool]:
        jobs: list[Job[C]] = []
        handed = self._queue.get()
        while handed is not None:
            jobs += handed
            try:
                handed = self._queue.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _work(self, jobs: list[Job[C]]) -> None:
        events: Sequence[Event] = ()
        try:
            events = self._process(jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must not wait for ever
            for job in jobs:
                job.error = error
        self._call_loop(self._deliver, jobs, events)

    def _call_loop(self, callback: Callable[..., object], *arguments: object) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _deliver(self, jobs: list[Job[C]], events: Sequence[Event]) -> None:
        try:
            if events:
                self._on_commit(events)
        finally:
            for job in jobs:
                if job.future.done():
                    continue
                if job.error is not None:
                    job.future.set_exception(job.error)
                else:
                    job.future.set_result(job.result)
