"""A thread that works through calls in batches and gives their results back to the event loop, batch by batch."""

import asyncio
import sys
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

BUSY_SECONDS = 0.000_5
"""A turn of the event loop that goes on for longer has more to do than the task that submits a call."""

WAIT_PER_LAG = 4.0
LAG_WAIT_MAX_SECONDS = 0.01

GATHERING_SECONDS = 0.003
"""How long calls wait at most for others that are likely to come, on a loop whose turns are short."""

LOOK_EVERY = 128
"""After so many batches one waits for all of this time, to find out how many calls come together by now."""


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

    What is submitted within one turn of the loop goes to the thread together, and what waits while the thread works is
    its next batch. Per batch the loop is called once: `on_commit` with the events, then every caller.

    To wake the thread and the loop costs more than most calls do. So a call waits for others: on a loop that is late,
    in proportion to that; and else for as many as came together before, for a moment at most. When that is over, those
    that came are all that is expected from then on. Who is alone does not wait, but for a look now and then whether
    that is still so.
    """

    def __init__(self, name: str, process: Process[C], on_commit: CommitListener) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._on_commit = on_commit
        self._submitted: list[Job[C]] = []
        self._submitted_at = 0.0
        self._batch_count = 0
        self._expected_count = 1
        self._moment: asyncio.TimerHandle | None = None
        self._queue: SimpleQueue[list[Job[C]] | None] = SimpleQueue()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, call: Callable[[C], T]) -> asyncio.Future[T]:
        """Have `call` run in the thread. Who stops to wait for the future does not stop the call."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._submitted.append(Job(call, future))
        if len(self._submitted) == 1:
            self._submitted_at = self._loop.time()
            self._loop.call_soon(self._end_turn)
        elif self._moment is not None and len(self._submitted) == self._expected_count:
            self._hand_over()
        return cast("asyncio.Future[T]", future)

    async def close(self) -> None:
        """Return once all that was submitted is done and the thread has ended."""
        self._hand_over()
        self._queue.put(None)
        await self._ended

    def _end_turn(self) -> None:
        if not self._submitted:
            # The thread is to end, and has got all.
            return
        if self._batch_count % LOOK_EVERY == LOOK_EVERY - 1:
            self._expected_count = sys.maxsize
        seconds = wait_seconds(self._loop.time() - self._submitted_at)
        if not seconds and len(self._submitted) < self._expected_count:
            seconds = GATHERING_SECONDS
        if seconds:
            self._moment = self._loop.call_later(seconds, self._end_moment)
        else:
            self._hand_over()

    def _end_moment(self) -> None:
        self._expected_count = len(self._submitted)
        self._hand_over()

    def _hand_over(self) -> None:
        if self._moment is not None:
            self._moment.cancel()
            self._moment = None
        if self._submitted:
            self._batch_count += 1
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


def wait_seconds(lag_seconds: float) -> float:
    """Return how long calls wait for others when the event loop is so late; not at all when it has little to do."""
    return min(lag_seconds * WAIT_PER_LAG, LAG_WAIT_MAX_SECONDS) if lag_seconds >= BUSY_SECONDS else 0.0
