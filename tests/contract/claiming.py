"""Who runs a task: taking over, giving up, and waiting for a fresh identity."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ADMIN,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    HARD,
    LATER_OWNER,
    OWNER,
    claim,
    complete,
    make_deltas,
    make_identity,
    make_key,
    make_root,
    make_spec,
    read_log,
    say,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import AuthRenewed, AuthRequired, Event
from musterd.domain.ids import new_id
from musterd.domain.ports import Lost, Store, Stored
from musterd.domain.task import Part, Task, TaskState

EXPIRED = AuthRequired(expired_at=datetime(2026, 1, 3, tzinfo=UTC))
RENEWED = AuthRenewed(user_id="anna")


async def park(store: Store, task: Task) -> None:
    """Let a running task wait for its owner."""
    assert isinstance(await store.park_for_identity(task.task_id, task.attempt, EXPIRED), Stored)


class ClaimingContract:
    """What `claim`, `release_task`, `park_for_identity` and `renew_identity` promise."""

    async def test_a_submitted_task_starts_with_its_first_attempt(self, store: Store) -> None:
        """R11."""
        new = make_root(owner=None)
        task = await start(store, new)
        (claimed,) = await claim(store, OWNER, 10)
        assert claimed.spec == new.spec
        started = claimed.task.start_time
        assert started is not None
        assert started >= task.create_time
        assert claimed.task == replace(
            task, state=TaskState.WORKING, attempt=1, start_time=started, update_time=started
        )
        assert await store.get_task(ANNA, task.task_id) == claimed.task
        assert isinstance(await write_one(store, say(claimed.task, *make_deltas(1))), Stored)

    async def test_tasks_of_a_dead_owner_are_taken_over_as_a_new_attempt(self, store: Store, restart: Restart) -> None:
        """R3, R11."""
        task = await start(store)
        await store.write([say(task, *make_deltas(2))])
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER, 10)
        assert (claimed.task.state, claimed.task.attempt) == (TaskState.WORKING, 2)
        assert claimed.task.start_time == task.start_time
        assert claimed.task.last_sequence == 3

    async def test_tasks_that_the_caller_holds_are_not_claimed(self, store: Store) -> None:
        """R11."""
        await start(store)
        assert list(await claim(store, OWNER, 10)) == []

    async def test_the_oldest_are_claimed_first_up_to_the_limit(self, store: Store) -> None:
        """R9."""
        tasks = [await start(store, make_root(owner=None)) for _ in range(5)]
        first = await claim(store, OWNER, 2)
        rest = await claim(store, OWNER, 10)
        assert [one.task.task_id for one in (*first, *rest)] == [task.task_id for task in tasks]
        assert len(first) == 2

    async def test_each_task_is_claimed_once(self, store: Store) -> None:
        """R11."""
        tasks = [await start(store, make_root(owner=None)) for _ in range(10)]
        claims = await asyncio.gather(*[claim(store, OWNER, 3) for _ in range(8)])
        claimed = [one.task.task_id for claim in claims for one in claim]
        assert sorted(claimed) == sorted(task.task_id for task in tasks)

    @pytest.mark.parametrize("waiting", [TaskState.RETRYING, TaskState.INPUT_REQUIRED])
    async def test_a_waiting_task_works_again_when_it_is_taken_over(
        self, store: Store, restart: Restart, waiting: TaskState
    ) -> None:
        """R11."""
        task = await start(store)
        await store.write([say(task, state=waiting)])
        (claimed,) = await claim(await restart(), LATER_OWNER, 10)
        assert (claimed.task.state, claimed.task.attempt) == (TaskState.WORKING, 2)

    async def test_a_task_that_is_being_canceled_stays_so_when_it_is_taken_over(
        self, store: Store, restart: Restart
    ) -> None:
        """R5."""
        task = await start(store)
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER, 10)
        assert (claimed.task.state, claimed.task.attempt) == (TaskState.CANCELING, 2)
        assert (await store.read_inbox(task.task_id)).cancel == HARD

    async def test_finished_tasks_are_not_claimed(self, store: Store, restart: Restart) -> None:
        """R11."""
        await store.write([complete(await start(store))])
        assert list(await claim(await restart(), LATER_OWNER, 10)) == []

    async def test_a_released_task_may_be_claimed_again(self, store: Store) -> None:
        """R11."""
        task = await start(store)
        await store.release_task(task.task_id, 1)
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.WORKING
        assert await write_one(store, complete(task)) == Lost()
        (claimed,) = await claim(store, OWNER, 10)
        assert (claimed.task.task_id, claimed.task.attempt) == (task.task_id, 2)

    async def test_only_its_holder_may_release_a_task(self, store: Store) -> None:
        """R11."""
        task = await start(store)
        await store.release_task(task.task_id, 2)
        await store.release_task(new_id(), 1)
        assert list(await claim(store, OWNER, 10)) == []
        assert isinstance(await write_one(store, complete(task)), Stored)
        await store.release_task(task.task_id, 1)
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.COMPLETED

    async def test_a_parked_task_waits_for_its_owner(
        self, store: Store, restart: Restart, committed: list[Event]
    ) -> None:
        """I7."""
        task = await start(store)
        result = await store.park_for_identity(task.task_id, 1, EXPIRED)
        assert isinstance(result, Stored)
        assert result.state is TaskState.AUTH_REQUIRED
        assert [event.payload for event in result.events] == [EXPIRED]
        assert committed[-1] == result.events[0]
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.AUTH_REQUIRED
        assert await write_one(store, complete(task)) == Lost()
        assert list(await claim(store, OWNER, 10)) == []
        assert list(await claim(await restart(), LATER_OWNER, 10)) == []

    async def test_only_its_holder_may_park_a_task(self, store: Store) -> None:
        """I7."""
        task, canceling = await start(store), await start(store)
        await store.request_cancel(ANNA, canceling.task_id, HARD, None)
        assert await store.park_for_identity(task.task_id, 2, EXPIRED) == Lost()
        assert await store.park_for_identity(new_id(), 1, EXPIRED) == Lost()
        assert await store.park_for_identity(canceling.task_id, 1, EXPIRED) == Lost()
        await store.write([complete(task)])
        assert await store.park_for_identity(task.task_id, 1, EXPIRED) == Lost()
        assert EXPIRED not in await read_log(store, task)

    async def test_a_renewed_task_goes_on_under_the_new_identity(self, store: Store) -> None:
        """I7."""
        new = make_root(spec=make_spec(parts=(Part(name="film", data=b"\x00\xff" * 50_000),)))
        task = await start(store, new)
        await park(store, task)
        fresh = replace(make_identity(), scopes=frozenset(), captured_at=datetime(2026, 2, 3, tzinfo=UTC))
        renewed = await store.renew_identity(ANNA, task.task_id, fresh, RENEWED, None)
        assert renewed.state is TaskState.SUBMITTED
        assert await store.get_task(ANNA, task.task_id) == renewed
        assert (await read_log(store, task))[1:] == [EXPIRED, RENEWED]
        (claimed,) = await claim(store, OWNER, 10)
        assert (claimed.task.state, claimed.task.attempt) == (TaskState.WORKING, 2)
        assert claimed.task.start_time == task.start_time
        assert claimed.spec == replace(new.spec, identity=fresh)

    async def test_a_repeated_renewal_changes_nothing(self, store: Store) -> None:
        """I7, R8."""
        task = await start(store)
        await park(store, task)
        key = make_key("r1", method="AnswerTask")
        first = await store.renew_identity(ANNA, task.task_id, make_identity(), RENEWED, key)
        again = await store.renew_identity(ANNA, task.task_id, make_identity(), RENEWED, key)
        assert again == first
        assert (await read_log(store, task))[1:] == [EXPIRED, RENEWED]
        changed = make_key("r1", method="AnswerTask", body="another body")
        with pytest.raises(MusterdError) as refused:
            await store.renew_identity(ANNA, task.task_id, make_identity(), RENEWED, changed)
        assert refused.value.reason is Reason.REQUEST_ID_REUSED

    async def test_a_task_that_does_not_wait_takes_no_identity(self, store: Store) -> None:
        """I7, R7."""
        task = await start(store)
        with pytest.raises(MusterdError) as refused:
            await store.renew_identity(ANNA, task.task_id, make_identity(), RENEWED, None)
        assert refused.value.reason is Reason.TASK_NOT_WAITING
        assert len(await read_log(store, task)) == 1

    async def test_only_who_sees_a_task_may_renew_it(self, store: Store) -> None:
        """I5, I7."""
        task = await start(store)
        await park(store, task)
        for stranger in (BERT, ANNA_ELSEWHERE):
            with pytest.raises(MusterdError) as refused:
                await store.renew_identity(stranger, task.task_id, make_identity(), RENEWED, None)
            assert refused.value.reason is Reason.TASK_NOT_FOUND
        renewed = await store.renew_identity(ADMIN, task.task_id, make_identity(), RENEWED, None)
        assert renewed.state is TaskState.SUBMITTED
