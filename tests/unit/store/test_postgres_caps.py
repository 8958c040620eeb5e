"""Caps that several processes on one database keep together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from tests.contract.capping import capped, waiting
from tests.contract.queueing import make_queued
from tests.contract.values import ANNA, BERT, complete, make_child, make_root, start
from tests.support.postgres_gates import Gate, GatedProxy, Said, Stop

from musterd.domain.event import Event
from musterd.domain.principal import Viewer
from musterd.domain.queueing import Caps, Group
from musterd.domain.task import Task, TaskState
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database
from musterd.store.postgres.statements import load_statement

OWNERS = ("a", "b", "c")
IN_ALL = 1_000
ANNAS: Group = ("user", "acme", "anna")


@pytest.fixture
async def stores(postgres_database: Database) -> AsyncIterator[Sequence[PostgresStore]]:
    """Return three stores on one database, for three owners that live."""
    heard: list[Event] = []
    opened = [PostgresStore(postgres_database) for _ in OWNERS]
    for store, owner in zip(opened, OWNERS, strict=True):
        await store.open(heard.extend)
        await store.add_lease(owner, 60.0)
    yield opened
    for store in opened:
        await store.close()


async def claim_ids(
    store: PostgresStore, owner: str, caps: Caps, running: dict[Group, int] | None = None, *, limit: int = IN_ALL
) -> Sequence[str]:
    """Claim, and return the ids of what was claimed in order."""
    return [one.task.task_id for one in await store.claim(owner, limit, caps, running or {})]


async def queue(store: PostgresStore, count: int) -> Sequence[str]:
    """Let tasks of one user wait, and return their ids."""
    return [(await start(store, make_queued())).task_id for _ in range(count)]


async def test_what_other_processes_run_counts(stores: Sequence[PostgresStore]) -> None:
    """R9: and what this one runs counts as it says itself."""
    ids = await queue(stores[0], 6)
    caps = Caps(in_all=IN_ALL, per_user=3)
    assert await claim_ids(stores[0], "a", caps, limit=2) == ids[:2]
    assert await claim_ids(stores[1], "b", caps) == ids[2:3]
    assert await claim_ids(stores[2], "c", caps) == []
    assert await claim_ids(stores[0], "a", caps, {ANNAS: 2}) == []
    # One of its own goes on to wait, which nobody has stored yet.
    assert await claim_ids(stores[0], "a", caps, {ANNAS: 1}) == ids[3:4]


async def test_a_task_that_waits_or_ends_makes_room_for_other_processes(stores: Sequence[PostgresStore]) -> None:
    """R9, S13."""
    ids = await queue(stores[0], 4)
    caps = Caps(in_all=IN_ALL, per_user=2)
    first, second = [one.task for one in await stores[0].claim("a", 2, caps, {})]
    await stores[0].write([waiting(first, is_waiting=True)])
    assert await claim_ids(stores[1], "b", caps) == ids[2:3]
    assert await claim_ids(stores[2], "c", caps) == []
    await stores[0].write([complete(second)])
    assert await claim_ids(stores[2], "c", caps) == ids[3:]


async def test_what_a_dead_process_holds_counts_for_nobody(stores: Sequence[PostgresStore]) -> None:
    """R9, R11: it is claimed with the rest."""
    ids = await queue(stores[0], 3)
    caps = Caps(in_all=IN_ALL, per_user=2)
    assert await claim_ids(stores[0], "a", caps) == ids[:2]
    await stores[0].end_lease("a")
    created = await stores[2].create_task(replace(capped(make_root(), caps), owner="c"))
    assert created.task.state is TaskState.WORKING
    assert await claim_ids(stores[1], "b", caps) == ids[:1]
    assert await claim_ids(stores[1], "b", caps, {ANNAS: 1}) == []


@pytest.mark.parametrize("in_group", ["tenant", "user", "tree"])
async def test_racing_claims_fill_a_cap_exactly(stores: Sequence[PostgresStore], in_group: str) -> None:
    """R9: whoever comes first, and though each leaves room for the others."""
    caps = Caps(in_all=IN_ALL, **{f"per_{in_group}": 7})
    root = await start(stores[0], replace(make_root(), owner="a"))
    for _ in range(20):
        await start(stores[0], make_child(root, owner=None) if in_group == "tree" else make_queued())
    running = {owner: 1 if owner == "a" else 0 for owner in OWNERS}
    group: Group = {"tenant": ("tenant", "acme"), "user": ANNAS, "tree": ("tree", root.task_id)}[in_group]
    for _ in range(4):
        counts = await asyncio.gather(
            *[
                claim_ids(store, owner, caps, {group: running[owner]}, limit=2)
                for store, owner in zip(stores, OWNERS, strict=True)
            ]
        )
        for owner, claimed in zip(OWNERS, counts, strict=True):
            running[owner] += len(claimed)
        assert sum(running.values()) <= 7
    assert sum(running.values()) == 7


async def test_starts_and_claims_at_once_keep_to_a_cap(stores: Sequence[PostgresStore]) -> None:
    """R9: of users and tenants in any order, without a deadlock that somebody would have to get out of."""
    caps = Caps(in_all=IN_ALL, per_tenant=9, per_user=6)
    for viewer in (ANNA, BERT) * 10:
        await start(stores[0], make_queued(viewer))

    async def create(number: int) -> Task:
        new = make_root((ANNA, BERT)[number % 2])
        return (await stores[0].create_task(replace(capped(new, caps), owner="a"))).task

    created, first, second = await asyncio.gather(
        asyncio.gather(*[create(number) for number in range(18)]),
        stores[1].claim("b", 3, caps, {}),
        stores[2].claim("c", 3, caps, {}),
    )
    running = [task for task in created if task.state is TaskState.WORKING]
    running += [one.task for one in (*first, *second)]
    users = [task.user_id for task in running]
    assert len(users) == 9
    assert max(map(users.count, ("anna", "bert"))) <= 6


async def test_a_claim_gets_past_any_number_of_full_groups_in_few_rounds(postgres_database: Database) -> None:
    """R9: it keeps all that it has looked at from other claims, so it must not go from user to user."""
    rounds: list[str] = []

    def note(said: Said) -> bool:
        rounds.extend(said[-1:] if said[-1] == load_statement("find_claimable") else ())
        return False

    proxy = GatedProxy(postgres_database.dsn)
    proxy.add(Gate(note, Stop.BEFORE))
    store = PostgresStore(replace(postgres_database, dsn=await proxy.start()))
    await store.open(lambda _: None)
    await store.add_lease("b", 60.0)
    users = [Viewer(tenant_id="acme", user_id=f"user {number}") for number in range(30)]
    for user in users:
        await start(store, replace(make_root(user), owner="b"))
    waiting = [(await start(store, make_queued(user))).task_id for user in [*users, ANNA]]
    assert await claim_ids(store, "a", Caps(in_all=IN_ALL, per_user=1), limit=1) == waiting[-1:]
    # 1, 2, 4, 8 and 16 of them.
    assert len(rounds) == 5
    await store.close()
    await proxy.close()
