"""What one reader of a log gets: everything once and in order, or a clear end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.clocks import DrivenClock
from tests.support.stored_runs import begin_task, complete, deltas, tell

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, Payload, SubtaskStarted, TaskCanceled, TaskCompleted, TaskFailed, TextDelta
from musterd.domain.principal import Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Output, Task, TaskError, TaskState, Usage
from musterd.runtime.feed.hub import Hub
from musterd.runtime.feed.streams import Batches, Pulse, Streams, StreamScope
from musterd.runtime.limits import Limits
from musterd.runtime.supervisor import shutting_down
from musterd.store.sqlite import SqliteStore

LAG = 20


class Feed:
    """A real store with its hub, and streams of it."""

    def __init__(self, store: SqliteStore) -> None:
        limits = Limits(reader_max_lag_events=LAG, event_page_size=7)
        self.store = store
        self.clock = DrivenClock()
        self.hub = Hub(store, limits)
        self.streams = Streams(hub=self.hub, clock=self.clock, limits=limits, heartbeat_seconds=0)


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[Feed]:
    store = SqliteStore(tmp_path / "feed.db")
    feed = Feed(store)
    await store.open(feed.hub.publish)
    yield feed
    await store.close()


async def read(batches: Batches) -> list[int]:
    sequences: list[int] = []
    async for batch in batches:
        if not isinstance(batch, Pulse):
            sequences += [event.sequence for event in batch]
    return sequences


async def test_a_reader_that_comes_late_gets_pages_then_what_comes(feed: Feed) -> None:
    """R3: without gap or duplicate where the two meet."""
    task = await begin_task(feed.store)
    await tell(feed.store, task, deltas(15))
    follower = feed.hub.follow(task.root_task_id, 0)
    await tell(feed.store, task, deltas(3))
    reading = asyncio.create_task(
        read(feed.streams.open(follower, StreamScope(task, (), until_tree=False), None).replayed())
    )
    await tell(feed.store, task, deltas(2))
    await complete(feed.store, task)
    assert await reading == list(range(1, 23))


async def test_a_quiet_stream_pulses_with_its_last_sequence(feed: Feed) -> None:
    """R3."""
    task = await begin_task(feed.store)
    follower = feed.hub.follow(task.root_task_id, 0)
    batches = feed.streams.open(follower, StreamScope(task, (), until_tree=False), None).replayed()
    first = await anext(batches)
    assert not isinstance(first, Pulse)
    assert await anext(batches) == Pulse(1)


async def test_a_wait_that_an_event_ended_does_not_shorten_the_next(feed: Feed) -> None:
    """R3: a pulse tells of a silence."""
    task = await begin_task(feed.store)
    follower = feed.hub.follow(task.root_task_id, 0)
    page = await feed.store.read_events(task.root_task_id, 0, 1)
    seconds, loop, order = 0.05, asyncio.get_running_loop(), list[str]()
    waiting = asyncio.create_task(follower.wait(seconds))
    await asyncio.sleep(0)
    follower.push(page.events)
    assert await waiting
    await follower.take(1)
    loop.call_later(seconds, order.append, "the end of the first wait")
    assert not await follower.wait(2 * seconds)
    assert order == ["the end of the first wait"]
    feed.hub.leave(follower)


async def test_a_reader_may_lag_as_far_as_the_limit_and_no_further(feed: Feed) -> None:
    """R3 (refusal): it is closed with its last sequence, and nothing is dropped silently."""
    task = await begin_task(feed.store)
    follower = feed.hub.follow(task.root_task_id, 0)
    assert [event.sequence for event in await follower.catch_up(100)] == [1]
    await tell(feed.store, task, deltas(LAG))
    assert [event.sequence for event in await follower.take(100)] == list(range(2, LAG + 2))
    await tell(feed.store, task, deltas(LAG + 1))
    with pytest.raises(MusterdError) as closed:
        await follower.take(100)
    assert closed.value.reason is Reason.SLOW_READER
    assert closed.value.metadata["last_sequence"] == str(LAG + 1)
    again = feed.hub.follow(task.root_task_id, LAG + 1)
    assert (await again.catch_up(100))[0].sequence == LAG + 2


async def test_a_stream_ends_with_its_token(feed: Feed) -> None:
    """I7."""
    task = await begin_task(feed.store)
    follower = feed.hub.follow(task.root_task_id, 0)
    expires_at = feed.clock.now() + timedelta(seconds=60)
    batches = feed.streams.open(follower, StreamScope(task, (), until_tree=False), expires_at).replayed()
    await anext(batches)
    assert isinstance(await anext(batches), Pulse)
    feed.clock.advance(60)
    with pytest.raises(MusterdError) as ended:
        await read(batches)
    assert ended.value.reason is Reason.TOKEN_EXPIRED
    assert ended.value.metadata["last_sequence"] == "1"


async def test_a_server_that_goes_down_sends_its_readers_off(feed: Feed) -> None:
    """R3: those that follow now, and those that come later."""
    task = await begin_task(feed.store)
    followers = [feed.hub.follow(task.root_task_id, 0)]
    feed.hub.close(shutting_down)
    followers.append(feed.hub.follow(task.root_task_id, 0))
    for follower in followers:
        with pytest.raises(MusterdError) as ended:
            await follower.take(10)
        assert ended.value.reason is Reason.SHUTTING_DOWN
        feed.hub.leave(follower)
    assert feed.hub.follower_count == 0


async def test_a_watch_of_a_task_that_has_ended_does_not_wait(feed: Feed) -> None:
    """R3: also from beyond its end."""
    task = await begin_task(feed.store)
    await complete(feed.store, task)
    follower = feed.hub.follow(task.root_task_id, 2)
    row = await feed.store.get_task(Viewer(tenant_id="acme", user_id="ada"), task.task_id)
    scope = StreamScope(row, (), until_tree=False)
    assert await read(feed.streams.open(follower, scope, None).replayed()) == []


MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HELPER = ComponentRef(kind=ComponentKind.SUBAGENT, id="helper")
DONE = TaskCompleted(output=Output(text="done"), usage=Usage())
FAILED = TaskFailed(error=TaskError(reason=Reason.INTERNAL, message="no"), usage=Usage())
CANCELED = TaskCanceled(usage=Usage())
TALK = TextDelta(step=1, part_index=0, text="hi")


def row(task_id: str, parent: str = "", state: TaskState = TaskState.WORKING) -> Task:
    """Return a task of the tree whose root is `root`."""
    return Task(
        task_id=task_id,
        root_task_id="root",
        parent_task_id=parent,
        component=HELPER,
        state=state,
        tenant_id="acme",
        user_id="ada",
        create_time=MOMENT,
        update_time=MOMENT,
    )


def starts(task_id: str) -> SubtaskStarted:
    return SubtaskStarted(subtask_id=task_id, component=HELPER, description="help")


def shown_by(scope: StreamScope, *told: tuple[str, Payload]) -> tuple[list[int], bool]:
    """Return which of the events a stream shows, counted from 1, and whether it ends with them."""
    events = [
        Event("root", task_id, number, MOMENT, HELPER, payload) for number, (task_id, payload) in enumerate(told, 1)
    ]
    selected, is_last = scope.select(events)
    return [event.sequence for event in selected], is_last


def test_a_stream_shows_what_starts_below_its_task_while_it_runs() -> None:
    """R3, T1: children of children too, and nobody else's."""
    scope = StreamScope(row("middle", "root"), (), until_tree=False)
    shown = shown_by(
        scope,
        ("root", starts("beside")),
        ("beside", TALK),
        ("middle", starts("below")),
        ("below", starts("deep")),
        ("beside", starts("beside it")),
        ("beside it", TALK),
        ("deep", TALK),
    )
    assert shown == ([3, 4, 7], False)


def test_a_stream_learns_of_a_child_in_one_batch_and_shows_it_in_the_next() -> None:
    """R3."""
    scope = StreamScope(row("middle", "root"), (), until_tree=False)
    assert shown_by(scope, ("middle", starts("below"))) == ([1], False)
    assert shown_by(scope, ("below", TALK), ("root", TALK)) == ([1], False)


def test_a_stream_ends_with_its_task_although_a_child_goes_on() -> None:
    """R3, S13."""
    scope = StreamScope(row("middle", "root"), (), until_tree=False)
    shown = shown_by(scope, ("middle", starts("below")), ("middle", DONE), ("below", TALK))
    assert shown == ([1, 2], True)


@pytest.mark.parametrize("task_id", ["root", "middle"])
@pytest.mark.parametrize("end", [DONE, FAILED, CANCELED], ids=lambda end: type(end).__name__)
def test_a_stream_of_a_tree_waits_for_children_that_started_while_it_ran(task_id: str, end: Payload) -> None:
    """R3, S13: it ends with the last of them, however that ends."""
    scope = StreamScope(row(task_id), (), until_tree=True)
    shown = shown_by(
        scope,
        (task_id, starts("below")),
        ("below", starts("deep")),
        (task_id, DONE),
        ("deep", end),
        ("below", end),
        (task_id, TALK),
    )
    assert shown == ([1, 2, 3, 4, 5], True)


def test_a_replay_of_a_tree_that_goes_on_waits_for_those_alone_that_have_not_ended() -> None:
    """R3: a child that is known already, and that had ended before, is told of again."""
    ended = row("below", "middle", TaskState.COMPLETED)
    scope = StreamScope(row("middle", "root"), (ended,), until_tree=True)
    replayed = shown_by(scope, ("middle", starts("below")), ("below", TALK), ("below", DONE), ("middle", TALK))
    assert replayed == ([1, 2, 3, 4], False)
    assert shown_by(scope, ("middle", DONE)) == ([1], True)


def test_a_replay_of_a_tree_that_is_over_shows_it_to_its_end() -> None:
    """R3."""
    rows = [row("middle", "root", TaskState.FAILED), row("below", "middle", TaskState.COMPLETED)]
    scope = StreamScope(rows[0], rows[1:], until_tree=True)
    assert scope.was_over
    shown = shown_by(scope, ("middle", starts("below")), ("middle", FAILED), ("below", DONE), ("below", TALK))
    assert shown == ([1, 2, 3, 4], False)
