"""A stream of a task's events: what is stored, then what comes, then its end."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, SubtaskStarted, TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.task import Task
from musterd.runtime.feed.hub import Follower, Hub
from musterd.runtime.limits import Limits

TERMINAL = (TaskCompleted, TaskFailed, TaskCanceled)


@dataclass(frozen=True, slots=True)
class Pulse:
    """Nothing happened for a while; the stream has sent the log up to this sequence."""

    last_sequence: int


Batches: TypeAlias = AsyncIterator[Sequence[Event] | Pulse]


class StreamScope:
    """Which events of a tree a stream shows, and which of them is its last.

    A root's stream shows the whole tree; another task's shows its own events and those of its descendants, also of such
    as start while it runs. It ends with the task itself, or with `until_tree` once all that it shows has ended.
    """

    def __init__(self, task: Task, descendants: Collection[Task], *, until_tree: bool) -> None:
        self._task_id = task.task_id
        self._shows_all = task.task_id == task.root_task_id
        self._shown = {task.task_id, *(child.task_id for child in descendants)}
        self._until_tree = until_tree
        awaited = (task, *descendants) if until_tree else (task,)
        self._open = {one.task_id for one in awaited if not one.state.is_terminal}
        self.was_over = not self._open

    def select(self, events: Sequence[Event]) -> tuple[Sequence[Event], bool]:
        """Return those of the events that the stream shows, and whether the last of them ends it."""
        selected: list[Event] = []
        for event in events:
            if not self._shows_all and event.task_id not in self._shown:
                continue
            selected.append(event)
            if isinstance(event.payload, SubtaskStarted):
                self._admit(event.payload.subtask_id)
            elif isinstance(event.payload, TERMINAL) and not self.was_over:
                self._open.discard(event.task_id)
                if not self._open:
                    return selected, True
        return selected, False

    def _admit(self, subtask_id: str) -> None:
        """Show a child from now on. It is told of before its own events, so that its end is yet to come."""
        self._shown.add(subtask_id)
        if self._until_tree:
            self._open.add(subtask_id)


class TaskStream:
    """Yields a follower's events in batches, as they were committed, with a pulse when nothing comes."""

    def __init__(
        self,
        follower: Follower,
        scope: StreamScope,
        *,
        clock: Clock,
        limits: Limits,
        heartbeat_seconds: float,
        expires_at: datetime | None,
    ) -> None:
        self._follower = follower
        self._scope = scope
        self._clock = clock
        self._limits = limits
        self._heartbeat_seconds = heartbeat_seconds
        self._expires_at = expires_at
        self._has_ended = False

    async def ready(self) -> Sequence[Event]:
        """Return what has come already, without waiting."""
        selected, self._has_ended = self._scope.select(await self._follower.take(self._limits.event_page_size))
        return selected

    async def replayed(self) -> Batches:
        """Yield what is stored after the follower's cursor, then what comes."""
        while events := await self._follower.catch_up(self._limits.event_page_size):
            selected, is_last = self._scope.select(events)
            if selected:
                yield selected
            if is_last:
                return
            self._check_token()
        if self._scope.was_over:
            return
        async for batch in self.live():
            yield batch

    async def live(self) -> Batches:
        """Yield what comes. Raises MusterdError SLOW_READER, SHUTTING_DOWN or TOKEN_EXPIRED with the last sequence."""
        follower = self._follower
        while not self._has_ended:
            self._check_token()
            if selected := await self.ready():
                yield selected
            elif not self._has_ended and not await follower.wait(self._patience_seconds()):
                yield Pulse(follower.cursor)

    def _patience_seconds(self) -> float:
        if self._expires_at is None:
            return self._heartbeat_seconds
        left = (self._expires_at - self._clock.now()).total_seconds()
        return max(0.0, min(self._heartbeat_seconds, left))

    def _check_token(self) -> None:
        if self._expires_at is not None and self._clock.now() >= self._expires_at:
            raise MusterdError(
                reason=Reason.TOKEN_EXPIRED,
                message="the token of this stream has expired; watch the task again with a fresh one",
                metadata={"last_sequence": str(self._follower.cursor)},
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Opens streams, with what they have in common on one server."""

    hub: Hub
    clock: Clock
    limits: Limits
    heartbeat_seconds: float

    @property
    def are_over(self) -> bool:
        """Whether the server goes down, which ends every stream."""
        return self.hub.is_closed

    def open(self, follower: Follower, scope: StreamScope, expires_at: datetime | None) -> TaskStream:
        """Return a stream of what a follower reads, which ends with the caller's token."""
        return TaskStream(
            follower,
            scope,
            clock=self.clock,
            limits=self.limits,
            heartbeat_seconds=self.heartbeat_seconds,
            expires_at=expires_at,
        )

    def close(self, follower: Follower) -> None:
        """Stop feeding a stream's follower."""
        self.hub.leave(follower)
