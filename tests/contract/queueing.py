"""Who comes first, and who has to wait."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.contract.canceling import end_canceled
from tests.contract.claiming import EXPIRED
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    HARD,
    LATER_OWNER,
    OWNER,
    claim,
    complete,
    make_child,
    make_key,
    make_root,
    start,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ports import NewTask, Store
from musterd.domain.principal import Viewer
from musterd.domain.queueing import Caps, Group
from musterd.domain.task import Priority, Task, TaskState

IN_ALL = 1_000


def make_queued(viewer: Viewer = ANNA, *, priority: Priority = Priority.NORMAL) -> NewTask:
    """Return a task that waits in the queue."""
    return replace(make_root(viewer, owner=None), priority=priority)


async def claim_ids(
    store: Store, caps: Caps, running: dict[Group, int] | None = None, *, owner: str = OWNER, limit: int = IN_ALL
) -> Sequence[str]:
    """Claim, and return the ids of what was claimed in order."""
    return [one.task.task_id for one in await store.claim(owner, limit, caps, running or {})]


def ids(tasks: Sequence[Task]) -> Sequence[str]:
    """Return the ids of tasks."""
    return [task.task_id for task in tasks]


class QueueingContract:
    """What `claim` and `count_queued` promise about the order and the caps of the queue."""

    async def test_a_critical_task_overtakes_three_hundred_that_wait(self, store: Store) -> None:
        """R9."""
        await asyncio.gather(*[store.create_task(make_queued(priority=Priority.LOW)) for _ in range(300)])
        critical = await start(store, make_queued(priority=Priority.CRITICAL))
        assert critical.priority is Priority.CRITICAL
        assert await claim_ids(store, Caps(in_all=1), limit=1) == [critical.task_id]
        assert await store.count_queued() == 300

    async def test_priorities_go_first_and_equals_in_the_order_of_their_coming(self, store: Store) -> None:
        """R9."""
        mixed = [
            await start(store, make_queued(priority=priority))
            for priority in (*Priority, *reversed(Priority))
            for _ in "ab"
        ]
        expected = sorted(mixed, key=lambda task: -task.priority)
        assert await claim_ids(store, Caps(in_all=IN_ALL)) == ids(expected)

    async def test_a_tenant_that_is_full_lets_others_pass(self, store: Store) -> None:
        """R9."""
        acme = [await start(store, make_queued()) for _ in range(5)]
        umbrella = [await start(store, make_queued(ANNA_ELSEWHERE)) for _ in range(5)]
        caps = Caps(in_all=IN_ALL, per_tenant=2)
        assert await claim_ids(store, caps, {("tenant", "acme"): 1}) == [acme[0].task_id, *ids(umbrella[:2])]
        running: dict[Group, int] = {("tenant", "acme"): 2, ("tenant", "umbrella"): 2}
        assert await claim_ids(store, caps, running) == []
        assert await claim_ids(store, caps, {("tenant", "umbrella"): 2}) == ids(acme[1:3])

    async def test_a_user_who_is_full_lets_others_pass(self, store: Store) -> None:
        """R9."""
        anna = [await start(store, make_queued()) for _ in range(3)]
        bert = [await start(store, make_queued(BERT)) for _ in range(3)]
        elsewhere = [await start(store, make_queued(ANNA_ELSEWHERE)) for _ in range(3)]
        caps = Caps(in_all=IN_ALL, per_user=2)
        claimed = await claim_ids(store, caps, {("user", "acme", "anna"): 2, ("user", "acme", "bert"): 1})
        assert claimed == [bert[0].task_id, *ids(elsewhere[:2])]
        assert await claim_ids(store, caps, {("user", "umbrella", "anna"): 2}) == [*ids(anna[:2]), *ids(bert[1:])]

    async def test_a_tree_that_is_full_lets_others_pass(self, store: Store) -> None:
        """R9, S13."""
        busy, calm = await start(store), await start(store)
        children = [await start(store, make_child(busy, owner=None)) for _ in range(4)]
        others = [await start(store, make_child(calm, owner=None)) for _ in range(2)]
        caps = Caps(in_all=IN_ALL, per_tree=3)
        assert await claim_ids(store, caps, {("tree", busy.task_id): 1}) == [*ids(children[:2]), *ids(others)]

    async def test_all_caps_hold_together(self, store: Store) -> None:
        """R9."""
        anna = [await start(store, make_queued()) for _ in range(4)]
        bert = [await start(store, make_queued(BERT)) for _ in range(4)]
        caps = Caps(in_all=IN_ALL, per_tenant=3, per_user=2, per_tree=1)
        assert await claim_ids(store, caps) == [*ids(anna[:2]), bert[0].task_id]

    async def test_the_limit_is_reached_past_those_that_wait(self, store: Store) -> None:
        """R9."""
        await asyncio.gather(*[store.create_task(make_queued()) for _ in range(60)])
        last = [await start(store, make_queued(ANNA_ELSEWHERE)) for _ in range(5)]
        caps = Caps(in_all=IN_ALL, per_tenant=4)
        assert await claim_ids(store, caps, {("tenant", "acme"): 4}, limit=3) == ids(last[:3])
        assert len(await claim_ids(store, caps, {("tenant", "umbrella"): 3}, limit=50)) == 5

    @pytest.mark.parametrize("cap", [0, 1])
    async def test_a_cap_holds_at_its_edge(self, store: Store, cap: int) -> None:
        """R9."""
        for _ in range(2):
            await start(store, make_queued())
        assert len(await claim_ids(store, Caps(in_all=IN_ALL, per_user=cap))) == cap

    async def test_nothing_is_claimed_without_room(self, store: Store) -> None:
        """R9."""
        await start(store, make_queued())
        assert await claim_ids(store, Caps(in_all=0), limit=0) == []

    async def test_tasks_of_a_dead_owner_count_and_queue_as_others_do(self, store: Store, restart: Restart) -> None:
        """R9, R11."""
        queued = await start(store, make_queued())
        urgent = await start(store, replace(make_root(), priority=Priority.HIGH))
        later = await start(store)
        caps = Caps(in_all=IN_ALL, per_tenant=2)
        store = await restart()
        assert await claim_ids(store, caps, owner=LATER_OWNER) == [urgent.task_id, queued.task_id]
        assert await claim_ids(store, caps, owner=LATER_OWNER) == [later.task_id]

    async def test_what_waits_is_counted(self, store: Store, restart: Restart) -> None:
        """R9."""
        assert await store.count_queued() == 0
        tasks = [await start(store, make_queued()) for _ in range(4)]
        await start(store)
        assert await store.count_queued() == 4
        claimed = (await claim(store, limit=2))[0].task
        await store.request_cancel(ANNA, tasks[3].task_id, HARD, None)
        assert await store.count_queued() == 1
        await store.park_for_identity(claimed.task_id, claimed.attempt, EXPIRED)
        assert await (await restart()).count_queued() == 1

    async def test_no_more_may_wait_than_the_queue_takes(self, store: Store) -> None:
        """R9 (refusal): the limit is how many wait, the last one included."""
        await start(store)
        for _ in range(3):
            await start(store, replace(make_queued(), max_queued=3))
        full = replace(make_queued(), max_queued=3, request=make_key("r1"))
        with pytest.raises(MusterdError) as refused:
            await store.create_task(full)
        assert refused.value.reason is Reason.CAPACITY_EXHAUSTED
        assert refused.value.quota == "max_queued_tasks"
        assert refused.value.retry_after_seconds == 1.0
        assert await store.find_request(make_key("r1")) is None
        # Who does not wait is not refused, and neither is a call that was made before.
        await start(store, replace(make_root(), max_queued=3))
        await claim(store, limit=1)
        created = await store.create_task(full)
        assert created.is_new
        assert not (await store.create_task(full)).is_new

    async def test_a_burst_fills_the_queue_exactly(self, store: Store) -> None:
        """R9."""
        calls = [store.create_task(replace(make_queued(), max_queued=7)) for _ in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, MusterdError) for result in results) == 13
        assert await store.count_queued() == 7

    async def test_a_canceled_task_makes_room(self, store: Store) -> None:
        """R9."""
        task = await start(store, make_queued())
        (claimed,) = await claim(store)
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        await store.write([end_canceled(claimed.task)])
        other = await start(store)
        await store.write([complete(other)])
        assert await claim_ids(store, Caps(in_all=IN_ALL)) == []
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.CANCELED

    async def test_it_is_known_whether_anything_waits_to_be_claimed(self, store: Store, restart: Restart) -> None:
        """R9, R11: also what ran in a process that died, and what waits for a cap; not what waits for its owner."""
        parked = await start(store)
        await store.park_for_identity(parked.task_id, parked.attempt, EXPIRED)
        running = await start(store)
        assert not await store.has_claimable(OWNER)
        await start(store, make_queued())
        assert await claim_ids(store, Caps(in_all=IN_ALL, per_tenant=0)) == []
        assert await store.has_claimable(OWNER)
        await claim(store)
        assert not await store.has_claimable(OWNER)
        store = await restart()
        assert await store.has_claimable(LATER_OWNER)
        assert running.task_id in await claim_ids(store, Caps(in_all=IN_ALL), owner=LATER_OWNER)
        assert not await store.has_claimable(LATER_OWNER)
