"""Several stores on one database, as several processes have them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.contract.canceling import end_canceled
from tests.contract.queueing import make_queued
from tests.contract.values import ANNA, HARD, claim, make_child, make_deltas, make_key, make_root, read_log, say, start

from musterd.domain.event import Event
from musterd.domain.ports import Stored
from musterd.domain.task import TaskState
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database

Pair = tuple[PostgresStore, PostgresStore]


@pytest.fixture
def heard() -> tuple[list[Event], list[Event]]:
    """Return what each store told of."""
    return [], []


@pytest.fixture
async def pair(postgres_database: Database, heard: tuple[list[Event], list[Event]]) -> AsyncIterator[Pair]:
    """Return two stores on one database, opened at the same time."""
    stores = PostgresStore(postgres_database), PostgresStore(postgres_database)
    await asyncio.gather(*[store.open(events.extend) for store, events in zip(stores, heard, strict=True)])
    yield stores
    for store in stores:
        await store.close()


async def test_a_log_is_dense_when_two_processes_write_it(pair: Pair, heard: tuple[list[Event], list[Event]]) -> None:
    """R3: and each of them tells of its own events in order."""
    one, two = pair
    roots = [await start(one) for _ in range(3)]
    tasks = [(store, await start(store, make_child(root))) for root in roots for store in pair]
    calls = [
        store.write([replace(say(task, *make_deltas(3)), number=number)])
        for number in range(1, 11)
        for store, task in tasks
    ]
    assert all(isinstance(result, Stored) for (result,) in await asyncio.gather(*calls))
    for root in roots:
        assert len(await read_log(two, root)) == 1 + 2 + 2 * 10 * 3
        for events in heard:
            mine = [event.sequence for event in events if event.root_task_id == root.task_id]
            assert mine == sorted(mine)
    assert sum(map(len, heard)) == 3 * (1 + 2 + 2 * 10 * 3)


async def test_two_processes_write_to_many_trees_in_any_order_without_waiting_for_each_other(pair: Pair) -> None:
    """R3: neither runs into a deadlock that it could not get out of."""
    tasks = [await start(pair[0]) for _ in range(12)]
    batches = [[say(task, *make_deltas(1)) for task in (tasks, tasks[::-1])[turn % 2]] for turn in range(20)]
    results = await asyncio.gather(*[pair[turn % 2].write(batch) for turn, batch in enumerate(batches)])
    assert all(isinstance(result, Stored) for batch in results for result in batch)
    assert {len(await read_log(pair[0], task)) for task in tasks} == {21}


async def test_a_task_is_claimed_by_one_process(pair: Pair) -> None:
    """R11."""
    tasks = [await start(pair[0], make_root(owner=None)) for _ in range(30)]
    for store, owner in zip(pair, ("a", "b"), strict=True):
        await store.add_lease(owner, 60.0)
    claims = await asyncio.gather(*[claim(pair[turn % 2], "ab"[turn % 2], 3) for turn in range(12)])
    claimed = [one.task.task_id for claim in claims for one in claim]
    claimed += [one.task.task_id for one in await claim(pair[0], "a", 30)]
    assert sorted(claimed) == sorted(task.task_id for task in tasks)


async def test_a_claim_and_a_cancel_at_once_leave_a_task_to_one_of_them(pair: Pair) -> None:
    """R5, R11."""
    for store, owner in zip(pair, ("a", "b"), strict=True):
        await store.add_lease(owner, 60.0)
    tasks = [await start(pair[0], make_root(owner=None)) for _ in range(20)]
    claims = asyncio.gather(*[claim(pair[0], "a", 2) for _ in range(10)])
    cancels = asyncio.gather(*[pair[1].request_cancel(ANNA, task.task_id, HARD, None) for task in tasks])
    claimed = {one.task.task_id: one.task for claim in await claims for one in claim}
    for record in await cancels:
        is_claimed = record.task.task_id in claimed
        assert record.task.state is (TaskState.CANCELING if is_claimed else TaskState.CANCELED)
        assert record.to_interrupt == ((record.task.task_id,) if is_claimed else ())
    results = await pair[0].write([end_canceled(task) for task in claimed.values()])
    assert all(isinstance(result, Stored) for result in results)


async def test_one_call_that_reaches_two_processes_makes_one_task(pair: Pair) -> None:
    """R8."""
    calls = [pair[turn % 2].create_task(make_root(request=make_key("r1"))) for turn in range(20)]
    created = await asyncio.gather(*calls)
    assert sum(one.is_new for one in created) == 1
    assert len({one.task.task_id for one in created}) == 1


async def test_the_queue_takes_no_more_from_two_processes_than_from_one(pair: Pair) -> None:
    """R9."""
    calls = [pair[turn % 2].create_task(replace(make_queued(), max_queued=7)) for turn in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 7
    assert await pair[0].count_queued() == 7


async def test_what_a_living_owner_holds_is_not_claimed(pair: Pair) -> None:
    """R11."""
    one, two = pair
    await one.add_lease("a", 60.0)
    await two.add_lease("b", 60.0)
    task = await start(one, make_root(owner="a"))
    assert not await two.has_claimable("b")
    assert list(await claim(two, "b")) == []
    assert await one.renew_lease("a", 60.0)
    assert not await two.has_claimable("b")
    await one.end_lease("a")
    assert await two.has_claimable("b")
    (claimed,) = await claim(two, "b")
    assert (claimed.task.task_id, claimed.task.attempt) == (task.task_id, 2)


async def test_a_lease_is_renewed_though_all_else_waits(postgres_database: Database) -> None:
    """R11: for another process, which may be long in finding out that it is cut off."""
    store = PostgresStore(replace(postgres_database, connections_max=4))
    await store.open(lambda _: None)
    await store.add_lease("a", 60.0)
    other = await postgres_database.connect()
    async with other.transaction():
        await other.execute("LOCK TABLE tree IN EXCLUSIVE MODE")
        waiting = [asyncio.create_task(start(store)) for _ in range(9)]
        for _ in range(9):
            # They come first to the connections.
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert await store.renew_lease("a", 60.0)
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    await other.close()
    await store.close()


async def test_a_lease_that_has_run_out_stays_so(pair: Pair) -> None:
    """R11."""
    one, two = pair
    await one.add_lease("a", 0.0)
    assert not await one.renew_lease("a", 60.0)
    with pytest.raises(ValueError, match="'a' has had a lease"):
        await one.add_lease("a", 60.0)
    await start(one, make_root(owner="a"))
    assert [found.task.attempt for found in await claim(two, "b")] == [2]
