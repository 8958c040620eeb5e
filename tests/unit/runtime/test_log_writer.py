"""The writer of all running tasks: what is said together is stored together, and an absent store loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.clocks import DrivenClock
from tests.support.stored_runs import begin_task, complete, deltas

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, TaskCanceled, TaskStarted, TextDelta
from musterd.domain.orders import CancelOrder
from musterd.domain.ports import Lost, Store, Stored, TaskWrite
from musterd.domain.principal import Viewer
from musterd.domain.task import TaskState, Usage
from musterd.runtime.feed.log import AttemptLost, LogWriter, RunLog, window_seconds
from musterd.runtime.limits import Limits
from musterd.store.sqlite import SqliteStore

ORDER = CancelOrder(hard=True, grace_seconds=0.0, reason="", cascade=False, user_id="ada")


class Watched:
    """A real store that counts transactions, can be away, and can be held."""

    def __init__(self, store: SqliteStore) -> None:
        self.real = store
        self.groups: list[Sequence[TaskWrite]] = []
        self.is_away = False
        self.wrote = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def write(self, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
        await self.gate.wait()
        self.groups.append(writes)
        if self.is_away:
            raise MusterdError(reason=Reason.STORE_UNAVAILABLE, message="disk full", retry_after_seconds=3)
        stored = await self.real.write(writes)
        self.wrote.set()
        return stored


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Watched]:
    store = SqliteStore(tmp_path / "log.db")
    await store.open(lambda _: None)
    yield Watched(store)
    await store.close()


def writer_of(store: Watched, clock: DrivenClock, limits: Limits | None = None) -> LogWriter:
    writer = LogWriter(cast("Store", store), clock, limits or Limits())
    writer.start()
    return writer


async def texts(store: Watched, task_id: str) -> list[str]:
    events: Sequence[Event] = (await store.real.read_events(task_id, 0, 1_000)).events
    return [event.payload.text for event in events if isinstance(event.payload, TextDelta)]


async def test_what_many_tasks_say_at_once_shares_a_transaction(store: Watched) -> None:
    """R3."""
    writer = writer_of(store, DrivenClock())
    logs: list[RunLog] = []
    for _ in range(20):
        task = await begin_task(store.real)
        logs.append(writer.open_log(task.task_id, task.attempt, lambda: None))
    store.gate.clear()
    first, *others = logs
    first.say(*deltas(1))
    commits = [asyncio.ensure_future(log.commit()) for log in others]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(*commits)
    assert len(store.groups) <= 2
    await writer.close()


async def test_nothing_is_lost_while_the_store_is_away(store: Watched) -> None:
    """R3: the run waits, and goes on when the store is back."""
    clock = DrivenClock()
    writer = writer_of(store, clock)
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    store.is_away = True
    log.say(*deltas(2))
    commit = asyncio.ensure_future(log.commit())
    await clock.sleeping(seconds=3)
    assert not commit.done()
    store.is_away = False
    clock.advance(3)
    await commit
    assert await texts(store, task.task_id) == ["0 ", "1 "]
    await writer.close()


async def test_the_writes_of_an_attempt_are_numbered_and_keep_their_numbers(store: Watched) -> None:
    """R3: one that is made again after a failure is told from one that is new."""
    clock = DrivenClock()
    writer = writer_of(store, clock)
    task, other = await begin_task(store.real), await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    for _ in range(2):
        log.say(*deltas(1))
        await log.commit()
    store.is_away = True
    log.say(*deltas(1))
    commit = asyncio.ensure_future(log.commit())
    await clock.sleeping(seconds=3)
    store.is_away = False
    clock.advance(3)
    await commit
    another = writer.open_log(other.task_id, other.attempt, lambda: None)
    another.say(*deltas(1))
    await another.commit()
    writes = [write for group in store.groups for write in group]
    mine = [write for write in writes if write.task_id == task.task_id]
    again = [write.number for write in mine].index(3)
    assert mine[again] is mine[again + 1]
    assert [write.number for write in (*mine[:again], *mine[again + 1 :])] == list(range(1, len(mine)))
    assert next(write.number for write in writes if write.task_id == other.task_id) == 1
    await writer.close()


async def test_an_attempt_that_lost_its_task_learns_of_it(store: Watched) -> None:
    """R11: its write has no effect."""
    writer = writer_of(store, DrivenClock())
    task = await begin_task(store.real)
    lost: list[str] = []
    log = writer.open_log(task.task_id, task.attempt, lambda: lost.append(task.task_id))
    await complete(store.real, task)
    log.say(*deltas(1))
    with pytest.raises(AttemptLost):
        await log.commit()
    with pytest.raises(AttemptLost):
        await log.commit()
    assert lost == [task.task_id]
    assert await texts(store, task.task_id) == []
    await writer.close()


async def test_deltas_are_gathered_up_to_the_limit(store: Watched) -> None:
    """R3: one fewer waits for the window, the limit itself is written at once."""
    writer = writer_of(store, DrivenClock(), Limits(flush_max_events=5, flush_window_seconds=3_600))
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    log.delta(deltas(1)[0])
    await log.commit()
    for delta in deltas(4):
        log.delta(delta)
    assert log.backlog == 4
    log.delta(deltas(1)[0])
    await log.commit()
    assert [len(group[0].payloads) for group in store.groups] == [1, 5]
    await writer.close()


async def test_a_delta_that_waits_for_the_window_is_not_hurried_by_those_after_it(store: Watched) -> None:
    """R3: so the tasks that stream stay together, and share transactions."""
    clock = DrivenClock()
    writer = writer_of(store, clock, Limits(flush_window_seconds=3_600))
    tasks = [await begin_task(store.real) for _ in range(2)]
    waiting, fresh = (writer.open_log(task.task_id, task.attempt, lambda: None) for task in tasks)
    first, second, third = deltas(3)
    waiting.delta(first)
    await waiting.commit()
    waiting.delta(second)
    clock.advance(3_600)
    waiting.delta(third)
    store.wrote.clear()
    fresh.delta(first)
    await store.wrote.wait()
    assert [write.task_id for write in store.groups[-1]] == [fresh.task_id]
    await writer.close()


@pytest.mark.parametrize(
    ("tasks", "lag_seconds", "window"),
    [(1, 0, 0.02), (10, 0, 0.02), (64, 0, 0.128), (1_000, 0, 0.5), (1, 0.01, 0.04), (1, 0.125, 0.5), (1, 0.2, 0.5)],
)
def test_the_window_follows_the_load_between_its_limits(tasks: int, lag_seconds: float, window: float) -> None:
    """R3."""
    limits = Limits(flush_window_seconds=0.02, flush_window_max_seconds=0.5)
    assert window_seconds(tasks, lag_seconds, limits) == pytest.approx(window)


def test_a_window_that_is_fixed_longer_than_the_longest_stays() -> None:
    """R3."""
    assert window_seconds(1_000, 1, Limits(flush_window_seconds=2, flush_window_max_seconds=0.5)) == 2


async def test_what_is_buffered_is_stored_before_the_writer_closes(store: Watched) -> None:
    """R3."""
    writer = writer_of(store, DrivenClock(), Limits(flush_window_seconds=3_600))
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    for delta in deltas(3):
        log.delta(delta)
    await writer.close()
    assert await texts(store, task.task_id) == ["0 ", "1 ", "2 "]


async def test_what_cannot_be_stored_fails_its_own_run_alone(store: Watched) -> None:
    """R1: the next commit of that run says so once, and its end is still stored."""
    writer = writer_of(store, DrivenClock())
    bad_task, good_task = await begin_task(store.real), await begin_task(store.real)
    bad = writer.open_log(bad_task.task_id, bad_task.attempt, lambda: None)
    good = writer.open_log(good_task.task_id, good_task.attempt, lambda: None)
    store.gate.clear()
    good.say()
    await asyncio.sleep(0)
    bad.say(TextDelta(step=1, part_index=0, text="\ud800"))
    good.say(*deltas(1))
    commit = asyncio.ensure_future(good.commit())
    store.gate.set()
    await commit
    with pytest.raises(ValueError, match="surrogates"):
        await bad.commit()
    bad.say(*deltas(2))
    await bad.commit()
    assert await texts(store, good_task.task_id) == ["0 "]
    assert await texts(store, bad_task.task_id) == ["0 ", "1 "]
    await writer.close()


async def test_a_log_has_one_end_whoever_is_first(store: Watched) -> None:
    """R2: a run may stop while the end that was put upon it waits for the store; what comes after is not stored."""
    writer = writer_of(store, DrivenClock())
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    store.gate.clear()
    log.say(*deltas(1))
    holding = asyncio.ensure_future(log.commit())
    await asyncio.sleep(0)
    first = asyncio.ensure_future(log.end(TaskCanceled(usage=Usage()), state=TaskState.CANCELED, usage=Usage()))
    await asyncio.sleep(0)
    log.say(*deltas(1))
    log.delta(*deltas(1))
    with pytest.raises(AttemptLost):
        await log.end(TaskCanceled(usage=Usage()), state=TaskState.CANCELED, usage=Usage())
    store.gate.set()
    await asyncio.gather(holding, first)
    events = (await store.real.read_events(task.task_id, 0, 100)).events
    assert [type(event.payload) for event in events] == [TaskStarted, TextDelta, TaskCanceled]
    await writer.close()


async def test_a_log_whose_end_cannot_be_stored_may_end_otherwise(store: Watched) -> None:
    """R11: its task would never end."""
    writer = writer_of(store, DrivenClock())
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    with pytest.raises(ValueError, match="surrogates"):
        await log.end(TaskCanceled(reason="\ud800", usage=Usage()), state=TaskState.CANCELED, usage=Usage())
    await log.end(TaskCanceled(usage=Usage()), state=TaskState.CANCELED, usage=Usage())
    events = (await store.real.read_events(task.task_id, 0, 100)).events
    assert [type(event.payload) for event in events] == [TaskStarted, TaskCanceled]
    await writer.close()


async def test_what_cannot_be_stored_is_told_before_the_end_is_said(store: Watched) -> None:
    """R11: else the end would be stored, and its caller would learn that it was not."""
    writer = writer_of(store, DrivenClock())
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    log.say(TextDelta(step=1, part_index=0, text="\ud800"))
    while log.backlog:  # noqa: ASYNC110 - nobody waits for what was said
        await asyncio.sleep(0)
    await writer_is_idle(store)
    with pytest.raises(ValueError, match="surrogates"):
        await log.end(TaskCanceled(usage=Usage()), state=TaskState.CANCELED, usage=Usage())
    await writer.close()
    events = (await store.real.read_events(task.task_id, 0, 100)).events
    assert [type(event.payload) for event in events] == [TaskStarted]


async def writer_is_idle(store: Watched) -> None:
    """Return once the store has answered all that was handed to it before."""
    with pytest.raises(MusterdError):
        await store.real.request_cancel(Viewer(tenant_id="acme", user_id="ada"), "none", ORDER, None)
    await asyncio.sleep(0)


async def test_that_a_task_waits_is_stored_with_what_comes_next(store: Watched) -> None:
    """R9, S13: and that it goes on, too."""
    writer = writer_of(store, DrivenClock())
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    log.note_waiting(is_waiting=True)
    await log.commit()
    log.say(*deltas(1))
    await log.commit()
    log.note_waiting(is_waiting=False)
    await log.commit()
    assert [one.is_waiting for group in store.groups for one in group] == [True, None, False]
    await writer.close()


async def test_a_wait_that_is_over_before_the_next_write_is_not_stored(store: Watched) -> None:
    """R9: it costs no write of its own; what waits for nothing but itself is none."""
    writer = writer_of(store, DrivenClock(), Limits(flush_window_seconds=0.001))
    tasks = [await begin_task(store.real) for _ in range(2)]
    short, long = (writer.open_log(task.task_id, task.attempt, lambda: None) for task in tasks)
    short.note_waiting(is_waiting=True)
    short.note_waiting(is_waiting=False)
    long.note_waiting(is_waiting=True)
    await store.wrote.wait()
    await writer.close()
    assert [(one.task_id, one.is_waiting) for group in store.groups for one in group] == [(tasks[1].task_id, True)]


async def test_what_ends_waits_for_nothing(store: Watched) -> None:
    """R9: and is not heard any more."""
    writer = writer_of(store, DrivenClock())
    task = await begin_task(store.real)
    log = writer.open_log(task.task_id, task.attempt, lambda: None)
    log.note_waiting(is_waiting=True)
    await log.end(TaskCanceled(usage=Usage()), state=TaskState.CANCELED, usage=Usage())
    log.note_waiting(is_waiting=True)
    await writer.close()
    assert [(one.state, one.is_waiting) for group in store.groups for one in group] == [(TaskState.CANCELED, None)]


async def test_who_keeps_a_log_hears_what_the_store_has_stored(store: Watched) -> None:
    """R5, R10: with what the tree has spent, and that the task is being canceled."""
    writer = writer_of(store, DrivenClock())
    task = await begin_task(store.real)
    heard: list[tuple[Usage | None, Stored]] = []
    log = writer.open_log(
        task.task_id, task.attempt, lambda: None, lambda write, stored: heard.append((write.usage, stored))
    )
    log.say(usage=Usage(requests=2))
    await log.commit()
    viewer = Viewer(tenant_id=task.tenant_id, user_id=task.user_id)
    await store.real.request_cancel(viewer, task.task_id, ORDER, None)
    log.say(*deltas(1))
    await log.commit()
    assert [(usage, stored.tree_spent) for usage, stored in heard] == [
        (Usage(requests=2), Usage(requests=2)),
        (None, None),
    ]
    assert [stored.state for _, stored in heard] == [TaskState.WORKING, TaskState.CANCELING]
    await writer.close()
