"""Writes what running tasks say: buffered per task, committed together, in the order in which it was said."""

import asyncio
from collections.abc import Callable, Collection, Iterable

import structlog

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError
from musterd.domain.event import Payload
from musterd.domain.hook_run import NewHookRun
from musterd.domain.ports import Lost, Store, Stored, TaskWrite
from musterd.domain.session import HistoryWrite
from musterd.domain.step import StepRecord
from musterd.domain.task import Output, TaskError, TaskState, Usage
from musterd.runtime.failures import traceback_of
from musterd.runtime.feed.gathering import Gathering
from musterd.runtime.limits import Limits

logger = structlog.get_logger(__name__)

WINDOW_PER_LAG = 4.0
"""How much longer the window gets with each second by which the event loop is late."""

Waiter = asyncio.Future[None]
StoredListener = Callable[[TaskWrite, Stored], None]

FIRST_DELTA_SECONDS = 0.002
"""How long the first delta after a silence waits for others: a response that is all there by then is written once."""

WINDOW_SECONDS_PER_TASK = 0.002
"""How much longer the window gets with each task that streams: a message costs more than what is in it."""


class AttemptLost(Exception):  # noqa: N818 - not an error of the run: it tells a runner that others own its task now
    """This attempt no longer owns its task: it must stop, and nothing that it says is stored."""


class RunLog:
    """The buffered writes of one attempt. All that was said before a commit is stored by it, in order.

    Deltas, and what is said to be able to wait, are stored within the flush window, all else at once. Nothing reaches a
    reader before it is stored.
    """

    def __init__(
        self,
        writer: "LogWriter",
        task_id: str,
        attempt: int,
        on_lost: Callable[[], None],
        on_stored: StoredListener | None,
    ) -> None:
        self.task_id = task_id
        self.attempt = attempt
        self.has_deltas = False
        self.deltas_flushed_at = float("-inf")
        self._writer = writer
        self._on_lost = on_lost
        self._on_stored = on_stored
        self._payloads: list[Payload] = []
        self._steps: list[StepRecord] = []
        self._applied_steer_ids: list[str] = []
        self._state: TaskState | None = None
        self._usage: Usage | None = None
        self._is_waiting = False
        self._was_waiting = False
        self._output: Output | None = None
        self._error: TaskError | None = None
        self._history: HistoryWrite | None = None
        self._hook_runs: tuple[NewHookRun, ...] = ()
        self._waiters: list[Waiter] = []
        self._writes_count = 0
        self._is_lost = False
        self._has_ended = False
        self._refusal: Exception | None = None

    @property
    def backlog(self) -> int:
        """How many events wait to be stored."""
        return len(self._payloads)

    @property
    def has_something(self) -> bool:
        """Whether there is something to store, or somebody who wants to know whether the attempt owns its task."""
        return bool(
            self._payloads
            or self._waiters
            or self._steps
            or self._applied_steer_ids
            or self._state is not None
            or self._usage is not None
            or self._is_waiting is not self._was_waiting
        )

    def delta(self, payload: Payload) -> None:
        """Say a piece of a response, which may wait for the flush window unless none was stored within it."""
        if self._has_ended:
            return
        self._payloads.append(payload)
        is_first, self.has_deltas = not self.has_deltas, True
        self._writer.touch(self, is_first=is_first)

    def say(
        self,
        *payloads: Payload,
        step: StepRecord | None = None,
        state: TaskState | None = None,
        usage: Usage | None = None,
        applied_steer_ids: tuple[str, ...] = (),
        can_wait: bool = False,
    ) -> None:
        """Say something that is stored as soon as the writer gets to it; its pieces are stored together.

        What `can_wait` is stored with what comes next, or when the flush window ends. After the end nothing is.
        """
        if self._has_ended:
            return
        self._payloads += payloads
        self._applied_steer_ids += applied_steer_ids
        if step is not None:
            self._steps.append(step)
        if state is not None:
            self._state = state
        if usage is not None:
            self._usage = usage
        if can_wait:
            self._writer.delay(self)
        else:
            self._writer.schedule(self)

    def note_waiting(self, *, is_waiting: bool) -> None:
        """Say whether the task waits for others, and counts for no cap; a wait that is over by then is not stored."""
        if self._has_ended or self._is_lost:
            return
        self._is_waiting = is_waiting
        if self.has_something:
            self._writer.delay(self)

    async def commit(self) -> None:
        """Return once all that was said is stored.

        Raises AttemptLost, or once what the store said of something that it cannot hold.
        """
        self._check()
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._writer.schedule(self)
        await waiter

    async def settle(self) -> int | None:
        """Return the number of the last write once all that was said is stored; None when the next commit is to raise.

        For somebody else than the run, to whom the refusal belongs. Raises AttemptLost.
        """
        while self.has_something and self._refusal is None:
            waiter: Waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            self._writer.schedule(self)
            try:
                await waiter
            except AttemptLost:
                raise
            except Exception as error:  # noqa: BLE001 - whatever the store could not hold
                self.refuse(error)
        return self._writes_count if self._refusal is None else None

    async def end(
        self,
        payload: Payload,
        *,
        state: TaskState,
        usage: Usage,
        output: Output | None = None,
        error: TaskError | None = None,
        history: HistoryWrite | None = None,
        hook_runs: tuple[NewHookRun, ...] = (),
    ) -> None:
        """Store the terminal event, with all that was said before it. Raises as `commit`; AttemptLost if it has one."""
        if self._has_ended:
            raise AttemptLost
        self._check()
        self._output, self._error, self._history, self._hook_runs = output, error, history, hook_runs
        self._is_waiting = self._was_waiting
        self.say(payload, state=state, usage=usage)
        self._has_ended = True
        try:
            await self.commit()
        except Exception:
            # It may end otherwise.
            self._has_ended = False
            raise

    def _check(self) -> None:
        if self._is_lost:
            raise AttemptLost
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            raise refusal

    def take(self, now: float) -> tuple[TaskWrite, list[Waiter]]:
        """Hand over what is buffered as one write, with those who wait for it."""
        if self.has_deltas:
            self.has_deltas, self.deltas_flushed_at = False, now
        self._writes_count += 1
        write = TaskWrite(
            task_id=self.task_id,
            attempt=self.attempt,
            number=self._writes_count,
            payloads=tuple(self._payloads),
            steps=tuple(self._steps),
            state=self._state,
            usage=self._usage,
            is_waiting=self._is_waiting if self._is_waiting is not self._was_waiting else None,
            output=self._output,
            error=self._error,
            applied_steer_ids=tuple(self._applied_steer_ids),
            history=self._history,
            hook_runs=self._hook_runs,
        )
        waiters, self._waiters = self._waiters, []
        self._payloads, self._steps, self._applied_steer_ids = [], [], []
        self._state, self._usage, self._was_waiting = None, None, self._is_waiting
        return write, waiters

    def learn(self, write: TaskWrite, stored: Stored) -> None:
        """Learn how the store stands after a write."""
        if self._on_stored is not None:
            self._on_stored(write, stored)

    def refuse(self, error: Exception) -> None:
        """Learn that something of what was said cannot be stored at all: the next commit raises `error`."""
        self._refusal = error

    def lose(self) -> None:
        """Learn that the attempt is over for others have the task."""
        self._is_lost = True
        self._on_lost()


class LogWriter:
    """Stores the writes of all running tasks of this process, many in one transaction, one transaction at a time."""

    def __init__(self, store: Store, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._due: dict[RunLog, None] = {}
        self._fresh = Gathering[RunLog](self._release)
        self._delayed = Gathering[RunLog](self._release_window)
        self._window_seconds = limits.flush_window_seconds
        self._lag_seconds = 0.0
        self._streaming_count = 0
        self._counted_since = 0.0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="log-writer")

    async def close(self) -> None:
        """Store what is buffered, then stop."""
        self._is_closing = True
        self._fresh.release()
        self._delayed.release()
        self._wake.set()
        if self._task is not None:
            await self._task

    def open_log(
        self,
        task_id: str,
        attempt: int,
        on_lost: Callable[[], None],
        on_stored: StoredListener | None = None,
    ) -> RunLog:
        """Return the log of one attempt.

        `on_lost` is called when another one has taken the task over, `on_stored` after each write.
        """
        return RunLog(self, task_id, attempt, on_lost, on_stored)

    def schedule(self, log: RunLog) -> None:
        """Write this log's buffer as soon as the writer is free."""
        self._due[log] = None
        self._wake.set()

    def delay(self, log: RunLog) -> None:
        """Write this log's buffer when the window ends."""
        if log not in self._due:
            self._delayed.add(log, self._window_seconds)

    def touch(self, log: RunLog, *, is_first: bool) -> None:
        """Write this log's buffer soon: when the window ends, or nearly at once after a silence.

        The first delta of those in the buffer decides: so the tasks that stream stay together in one window.
        """
        if log in self._due:
            return
        if log.backlog >= self._limits.flush_max_events:
            self.schedule(log)
        elif not is_first:
            return
        elif self._clock.monotonic() - log.deltas_flushed_at >= self._window_seconds:
            self._fresh.add(log, FIRST_DELTA_SECONDS)
        else:
            self._delayed.add(log, self._window_seconds)

    def _release(self, logs: Iterable[RunLog]) -> None:
        self._due |= dict.fromkeys(logs)
        self._wake.set()

    def _release_window(self, logs: Collection[RunLog]) -> None:
        self._lag_seconds = self._delayed.lag_seconds
        self._release(logs)

    def _adapt_window(self, logs: Collection[RunLog], now: float) -> None:
        """Make the next window as long as it must be for so many tasks that stream on so busy a loop."""
        self._streaming_count += sum(log.has_deltas for log in logs)
        if now - self._counted_since < self._window_seconds:
            return
        self._window_seconds = window_seconds(self._streaming_count, self._lag_seconds, self._limits)
        self._lag_seconds, self._streaming_count, self._counted_since = 0.0, 0, now

    async def _run(self) -> None:
        while True:
            if not self._due:
                if self._is_closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            logs, self._due = list(self._due), {}
            now = self._clock.monotonic()
            self._adapt_window(logs, now)
            taken: list[tuple[RunLog, TaskWrite, list[Waiter]]] = []
            for log in logs:
                self._fresh.discard(log)
                self._delayed.discard(log)
                if log.has_something:
                    taken.append((log, *log.take(now)))
            if taken:
                await self._store_all(taken)

    async def _store_all(self, taken: list[tuple[RunLog, TaskWrite, list[Waiter]]]) -> None:
        results = await self._write_until_stored([write for _, write, _ in taken])
        for (log, write, waiters), result in zip(taken, results, strict=True):
            match result:
                case Stored():
                    log.learn(write, result)
                    for waiter in waiters:
                        if not waiter.done():
                            waiter.set_result(None)
                case Lost():
                    log.lose()
                    _fail_all(waiters, AttemptLost())
                case error:
                    logger.error("write_refused", task=log.task_id, exception=traceback_of(error))
                    if all(waiter.done() for waiter in waiters):
                        log.refuse(error)
                    _fail_all(waiters, error)

    async def _write_until_stored(self, writes: list[TaskWrite]) -> list[Stored | Lost | Exception]:
        while True:
            try:
                return list(await self._store.write(writes))
            except MusterdError as error:
                if self._is_closing:
                    logger.error("writes_dropped", writes=len(writes), error=str(error))  # noqa: TRY400 - it says all
                    return [Lost()] * len(writes)
                logger.warning("store_unavailable", error=str(error), writes=len(writes))
                await self._clock.sleep(error.retry_after_seconds or self._limits.store_retry_delay_seconds)
            except Exception as error:  # noqa: BLE001 - the writer serves all runs: one must not end the others
                if len(writes) > 1:
                    return [(await self._write_until_stored([write]))[0] for write in writes]
                return [error]


def window_seconds(tasks: int, lag_seconds: float, limits: Limits) -> float:
    """Return how long deltas are to be gathered when so many tasks stream and the event loop is so late."""
    wanted = max(tasks * WINDOW_SECONDS_PER_TASK, lag_seconds * WINDOW_PER_LAG)
    return max(limits.flush_window_seconds, min(wanted, limits.flush_window_max_seconds))


def _fail_all(waiters: list[Waiter], error: Exception) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
