"""Stores of many replicas that look for work at the same moment: each task goes to one of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.contract.values import NO_CAPS, make_root, read_log, start

from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database

STORES = 4
CLAIMERS = 100
TASKS = 60


@pytest.fixture
async def stores(postgres_database: Database) -> AsyncIterator[list[PostgresStore]]:
    """Return stores on one database, as many replicas have them."""
    async with AsyncExitStack() as stack:
        opened = [PostgresStore(postgres_database) for _ in range(STORES)]
        for store in opened:
            await store.open(lambda _: None)
            stack.push_async_callback(store.close)
        yield opened


@pytest.mark.parametrize("owner", [None, "dead"], ids=["queued", "orphaned"])
async def test_a_task_that_a_hundred_claim_at_once_goes_to_one(stores: list[PostgresStore], owner: str | None) -> None:
    """R9, R11."""
    task = await start(stores[0], make_root(owner=owner))
    names = [f"claimer-{number}" for number in range(CLAIMERS)]
    for name in names:
        await stores[0].add_lease(name, 60)
    claims = await asyncio.gather(
        *[stores[number % STORES].claim(name, 10, NO_CAPS, {}) for number, name in enumerate(names)]
    )
    (winner,) = [one for claim in claims for one in claim]
    assert winner.task.task_id == task.task_id
    assert winner.task.attempt == (1 if owner is None else 2)
    assert len(await read_log(stores[0], task)) == 1


async def test_two_that_take_over_at_once_share_what_a_dead_one_left(stores: list[PostgresStore]) -> None:
    """R11. Each task has one new attempt."""
    tasks = [await start(stores[0], make_root(owner="dead")) for _ in range(TASKS)]
    await stores[0].add_lease("first", 60)
    await stores[1].add_lease("second", 60)
    taken: Counter[str] = Counter()
    while sum(taken.values()) < TASKS:
        claims = await asyncio.gather(
            stores[0].claim("first", 7, NO_CAPS, {}), stores[1].claim("second", 7, NO_CAPS, {})
        )
        assert any(claims)
        for one in (*claims[0], *claims[1]):
            assert one.task.attempt == 2
            taken[one.task.task_id] += 1
    assert taken == dict.fromkeys((task.task_id for task in tasks), 1)
