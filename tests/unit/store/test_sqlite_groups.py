"""What shares a commit, and what a busy database does."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.contract.values import ANNA, claim, complete, make_deltas, make_root, read_log, say, start

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Custom, Event
from musterd.domain.ports import Stored
from musterd.store.sqlite import SqliteStore, files


async def test_what_is_written_in_one_turn_of_the_loop_shares_a_commit(path: Path) -> None:
    """R3."""
    commits: list[Sequence[Event]] = []
    store = SqliteStore(path)
    await store.open(commits.append)
    tasks = await asyncio.gather(*[start(store) for _ in range(30)])
    await asyncio.gather(*[store.write([say(task, *make_deltas(2))]) for task in tasks])
    assert [len(events) for events in commits] == [30, 60]
    assert len({event.create_time for event in commits[1]}) == 1
    await store.close()


async def test_stored_times_come_from_the_clock_that_is_given(path: Path) -> None:
    """R11."""
    now = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    store = SqliteStore(path, lambda: now)
    await store.open(lambda _: None)
    task = await start(store)
    created, now = now, now + timedelta(days=3)
    await store.write([complete(task)])
    ended = await store.get_task(ANNA, task.task_id)
    assert (ended.create_time, ended.start_time, ended.update_time, ended.end_time) == (created, created, now, now)
    assert await store.now() == now
    await store.close()


async def test_tasks_of_one_time_have_an_order(path: Path) -> None:
    """R4."""
    now = datetime(2026, 5, 6, tzinfo=UTC)
    store = SqliteStore(path, lambda: now)
    await store.open(lambda _: None)
    new = [make_root(owner=None) for _ in range(10)]
    for one in reversed(new):
        await store.create_task(one)
    claimed = [one.task.task_id for _ in range(5) for one in await claim(store, limit=2)]
    assert claimed == sorted(one.task_id for one in new)
    await store.close()


async def test_a_database_that_somebody_else_locks_is_unavailable_and_comes_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3."""
    monkeypatch.setattr(files, "BUSY_TIMEOUT_SECONDS", 0.0)
    store = SqliteStore(path)
    await store.open(lambda _: None)
    task = await start(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writes = [store.write([say(task, *make_deltas(1))]) for _ in range(3)]
        for result in await asyncio.gather(*writes, return_exceptions=True):
            assert isinstance(result, MusterdError)
            assert result.reason is Reason.STORE_UNAVAILABLE
            assert result.retry_after_seconds is not None
        assert await store.get_task(ANNA, task.task_id) == task
    (stored,) = await store.write([say(task, *make_deltas(1))])
    assert isinstance(stored, Stored)
    assert len(await read_log(store, task)) == 2
    await store.close()


async def test_any_kind_of_mapping_is_stored(path: Path) -> None:
    """R3."""
    store = SqliteStore(path)
    await store.open(lambda _: None)
    labels = MappingProxyType({"team": "blue"})
    custom = Custom(type="note", payload=MappingProxyType({"a": [1, {"b": None}]}))
    task = await start(store, make_root(labels=labels, payloads=(custom,)))
    assert (await store.get_task(ANNA, task.task_id)).labels == dict(labels)
    assert await read_log(store, task) == [Custom(type="note", payload={"a": [1, {"b": None}]})]
    await store.close()
