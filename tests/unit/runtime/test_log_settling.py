"""Whether all that a run has said is stored: somebody who wants to give it up has to know."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.clocks import DrivenClock
from tests.support.stored_runs import begin_task, deltas

from musterd.domain.ports import Lost, Store, Stored, TaskWrite
from musterd.domain.task import Task
from musterd.runtime.feed.log import AttemptLost, LogWriter, RunLog
from musterd.runtime.limits import Limits
from musterd.store.sqlite import SqliteStore


class Narrow:
    """A real store that cannot hold what is written while it is narrow."""

    def __init__(self, store: SqliteStore) -> None:
        self.real = store
        self.is_narrow = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def write(self, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
        if self.is_narrow:
            raise ValueError("too wide")
        return await self.real.write(writes)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Narrow]:
    store = SqliteStore(tmp_path / "log.db")
    await store.open(lambda _: None)
    yield Narrow(store)
    await store.close()


@pytest.fixture
async def writer(store: Narrow) -> AsyncIterator[LogWriter]:
    writer = LogWriter(cast("Store", store), DrivenClock(), Limits())
    writer.start()
    yield writer
    await writer.close()


async def begin(store: Narrow, writer: LogWriter) -> tuple[Task, RunLog]:
    task = await begin_task(store.real)
    return task, writer.open_log(task.task_id, task.attempt, lambda: None)


async def test_a_log_settles_with_the_number_of_its_last_write(store: Narrow, writer: LogWriter) -> None:
    """R9, N2: nothing is written when nothing was said."""
    _, log = await begin(store, writer)
    assert await log.settle() == 0
    for number in (1, 2):
        log.say(*deltas(1), can_wait=True)
        assert await log.settle() == number
        assert await log.settle() == number
        assert not log.has_something


async def test_what_the_store_could_not_hold_is_left_for_the_run_to_hear(store: Narrow, writer: LogWriter) -> None:
    """R9, N2 (refusal): whoever else asks does not take it away."""
    _, log = await begin(store, writer)
    store.is_narrow = True
    log.say(*deltas(1))
    assert await log.settle() is None
    assert await log.settle() is None
    store.is_narrow = False
    with pytest.raises(ValueError, match="too wide"):
        await log.commit()
    await log.commit()
    assert await log.settle() == 2


async def test_a_log_of_an_attempt_that_is_lost_does_not_settle(store: Narrow, writer: LogWriter) -> None:
    """R11."""
    task, log = await begin(store, writer)
    await store.real.release_task(task.task_id, task.attempt)
    log.say(*deltas(1))
    with pytest.raises(AttemptLost):
        await log.settle()
