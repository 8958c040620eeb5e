"""The queue as time goes by, and past tasks that nobody can run."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.contract.queueing import claim_ids, ids, make_queued
from tests.contract.values import ANNA, ANNA_ELSEWHERE, start

from musterd.domain.queueing import QUEUE_STEP_SECONDS, Caps
from musterd.domain.task import Priority, TaskState
from musterd.store.sqlite import SqliteStore


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path, clock)
    await opened.open(lambda _: None)
    yield opened
    await opened.close()


async def test_a_task_overtakes_what_is_less_than_a_step_older(store: SqliteStore, clock: Clock) -> None:
    """R9."""
    normal = await start(store, make_queued())
    clock.advance(QUEUE_STEP_SECONDS - 1)
    high = await start(store, make_queued(priority=Priority.HIGH))
    clock.advance(2)
    late = await start(store, make_queued(priority=Priority.HIGH))
    assert await claim_ids(store, Caps(in_all=10)) == ids([high, normal, late])


async def test_a_task_of_low_priority_starves_under_no_stream_of_urgent_ones(store: SqliteStore, clock: Clock) -> None:
    """R9: it waits for those that come within three steps of its own coming, and for none after that."""
    low = await start(store, make_queued(priority=Priority.LOW))
    claimed: list[str] = []
    while low.task_id not in claimed:
        for _ in range(2):
            await start(store, make_queued(priority=Priority.CRITICAL))
        claimed += await claim_ids(store, Caps(in_all=1), limit=1)
        clock.advance(QUEUE_STEP_SECONDS / 4)
    # Two for each of the quarters of three steps.
    assert len(claimed) == 24 + 1


async def test_what_has_to_wait_is_not_read(path: Path, clock: Clock, store: SqliteStore) -> None:
    """R9: the input of a task that stays in the queue is not loaded, however often it is passed over."""
    waiting = [await start(store, make_queued()) for _ in range(20)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE task_spec SET format = 99")
    clock.advance(1)
    next_one = await start(store, make_queued(ANNA_ELSEWHERE))
    caps = Caps(in_all=10, per_tenant=1)
    assert await claim_ids(store, caps, {("tenant", "acme"): 1}) == [next_one.task_id]
    states = {(await store.get_task(ANNA, task.task_id)).state for task in waiting}
    assert states == {TaskState.SUBMITTED}


async def test_tasks_that_nobody_can_run_take_no_place_in_a_claim(path: Path, clock: Clock, store: SqliteStore) -> None:
    """R9, R11: they end, and those behind them are claimed in the same call."""
    broken = [await start(store, make_queued()) for _ in range(5)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE task_spec SET format = 99")
    clock.advance(1)
    sound = [await start(store, make_queued()) for _ in range(3)]
    assert await claim_ids(store, Caps(in_all=10, per_user=2), limit=3) == ids(sound[:2])
    states = {(await store.get_task(ANNA, task.task_id)).state for task in broken}
    assert states == {TaskState.FAILED}
    assert await store.count_queued() == 1
