"""Carries stored events to those who follow a tree in this process."""

import asyncio
from collections.abc import Callable, Sequence

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event
from musterd.domain.ports import Store
from musterd.runtime.limits import Limits


class Follower:
    """One reader of a tree's log: first what is stored after its cursor, then what comes, each event once and in order.

    Its queue is bounded: a reader that lags behind by more than `reader_max_lag_events` gets SLOW_READER. No run ever
    waits for a reader.
    """

    def __init__(self, root_task_id: str, after_sequence: int, store: Store, limits: Limits) -> None:
        self.root_task_id = root_task_id
        self.cursor = after_sequence
        self._store = store
        self._limits = limits
        self._queue: list[Event] = []
        self._wake: asyncio.Future[None] | None = None
        self._wake_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._failure: MusterdError | None = None
        self._is_behind = False

    @property
    def reach(self) -> int:
        """The last sequence that was handed over or waits here."""
        return self._queue[-1].sequence if self._queue else self.cursor

    def poke(self) -> None:
        """Look into the store: another process may have stored something."""
        self._is_behind = True
        self._rouse()

    def push(self, events: Sequence[Event]) -> None:
        """Take events of the tree, as they were committed."""
        if len(self._queue) + len(events) > self._limits.reader_max_lag_events:
            self.fail(
                MusterdError(
                    reason=Reason.SLOW_READER,
                    message="this reader is too slow; watch the task again after the last sequence it got",
                )
            )
            return
        self._queue.extend(events)
        self._rouse()

    def fail(self, error: MusterdError) -> None:
        """End the stream with `error`, after which nothing more is read. The first failure stands."""
        if self._failure is None:
            self._failure = error
            self._queue.clear()
            self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def wait(self, timeout_seconds: float) -> bool:
        """Return True once there is something to take, False when the time runs out."""
        if self._queue or self._is_behind or self._failure is not None:
            return True
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        self._wake_at = loop.time() + timeout_seconds
        self._set_timer(loop)
        try:
            await self._wake
        finally:
            self._wake = None
        return bool(self._queue) or self._is_behind or self._failure is not None

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        """See that a timer rings in time; one serves many waits, for events come and end most of them early."""
        if self._timer is not None and self._timer.when() <= self._wake_at:
            return
        self.close()
        self._timer = loop.call_at(self._wake_at, self._ring, loop, self._wake_at)

    def _ring(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        self._timer = None
        if self._wake is None:
            return
        if self._wake_at > now:
            self._set_timer(loop)
        else:
            self._rouse()

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def take(self, limit: int) -> Sequence[Event]:
        """Return the next events after the cursor, at most `limit`; none when there is nothing yet.

        Raises MusterdError SLOW_READER or SHUTTING_DOWN with the last sequence, and LOG_TRIMMED when the log no longer
        reaches back to the cursor.
        """
        self._raise_failure()
        queue = self._queue
        if queue and queue[0].sequence <= self.cursor:
            queue[:] = [event for event in queue if event.sequence > self.cursor]
        if not queue:
            return await self.catch_up(limit) if self._is_behind else ()
        if queue[0].sequence > self.cursor + 1:
            return await self.catch_up(limit)
        events = queue[:limit]
        del queue[:limit]
        self.cursor = events[-1].sequence
        return events

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._failure.metadata = {**self._failure.metadata, "last_sequence": str(self.cursor)}
            raise self._failure

    async def catch_up(self, limit: int) -> Sequence[Event]:
        """Return stored events after the cursor, at most `limit`; none when the cursor is at the end of the log."""
        self._raise_failure()
        self._is_behind = False
        page = await self._store.read_events(self.root_task_id, self.cursor, limit)
        if self.cursor + 1 < page.oldest_sequence:
            raise MusterdError(
                reason=Reason.LOG_TRIMMED,
                message=f"the log begins at sequence {page.oldest_sequence}; watch from there",
                metadata={"oldest_sequence": str(page.oldest_sequence)},
            )
        if page.events:
            self.cursor = page.events[-1].sequence
            self._is_behind = self.cursor < page.last_sequence
        return page.events


class Hub:
    """Hands every commit of the store to the followers of its trees. `on_follow` is told what is followed."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._followers: dict[str, list[Follower]] = {}
        self._listeners: list[Callable[[Sequence[Event]], None]] = []
        self.on_follow: Callable[[str], None] = lambda _: None
        self._make_error: Callable[[], MusterdError] | None = None

    def listen(self, listener: Callable[[Sequence[Event]], None]) -> None:
        """Call `listener` with every commit's events, before the followers get them."""
        self._listeners.append(listener)

    def publish(self, events: Sequence[Event]) -> None:
        """Take the events of one commit; this is the store's commit listener."""
        for listener in self._listeners:
            listener(events)
        followers = self._followers
        if not followers:
            return
        run: list[Event] = []
        root = ""
        for event in events:
            if event.root_task_id != root:
                self._push(root, run)
                root, run = event.root_task_id, []
            run.append(event)
        self._push(root, run)

    def _push(self, root: str, events: Sequence[Event]) -> None:
        if events:
            for follower in self._followers.get(root, ()):
                follower.push(events)

    def follow(self, root_task_id: str, after_sequence: int, *, is_new: bool = False) -> Follower:
        """Return a follower that misses nothing from now on. Hand it back with `leave`.

        A tree that `is_new` is no other process's yet, so that `on_follow` is not told of it.
        """
        if not is_new:
            self.on_follow(root_task_id)
        follower = Follower(root_task_id, after_sequence, self._store, self._limits)
        self._followers.setdefault(root_task_id, []).append(follower)
        if self._make_error is not None:
            follower.fail(self._make_error())
        return follower

    def poke(self, root_task_id: str) -> None:
        """Let the followers of a tree look into the store: another process has stored something."""
        for follower in self._followers.get(root_task_id, ()):
            follower.poke()

    def followed_roots(self) -> Sequence[str]:
        """Return the roots of the trees that are followed here."""
        return list(self._followers)

    def is_behind(self, root_task_id: str, last_sequence: int) -> bool:
        """Whether some follower of a tree has not got its log up to here."""
        return any(follower.reach < last_sequence for follower in self._followers.get(root_task_id, ()))

    def leave(self, follower: Follower) -> None:
        """Stop feeding a follower."""
        follower.close()
        followers = self._followers[follower.root_task_id]
        followers.remove(follower)
        if not followers:
            del self._followers[follower.root_task_id]

    def close(self, make_error: Callable[[], MusterdError]) -> None:
        """End every stream, and every one that is opened later, each with an error of its own."""
        self._make_error = make_error
        for followers in self._followers.values():
            for follower in followers:
                follower.fail(make_error())

    @property
    def is_closed(self) -> bool:
        """Whether every stream has been ended."""
        return self._make_error is not None

    @property
    def follower_count(self) -> int:
        """How many streams follow something now."""
        return sum(map(len, self._followers.values()))
