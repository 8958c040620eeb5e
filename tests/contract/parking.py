"""Tasks that wait for approvals without a process."""

import pytest
from tests.contract.approving import approve, ask_for, ask_one, deny, make_new, resolve
from tests.contract.canceling import SOFTLY
from tests.contract.incarnations import Restart
from tests.contract.questioning import ask, reply
from tests.contract.values import (
    ANNA,
    HARD,
    LATER_OWNER,
    OWNER,
    SOFT,
    SPENT,
    claim,
    complete,
    make_child,
    read_log,
    start,
    write_one,
)

from musterd.domain.event import ApprovalResolved, Event, TaskCanceled
from musterd.domain.full_store import FullStore
from musterd.domain.ids import new_id
from musterd.domain.ports import Lost, Stored, TaskWrite
from musterd.domain.task import ApprovalState, Task, TaskState


async def park(store: FullStore, task: Task) -> None:
    """Let a task wait without a process."""
    assert await store.park(task.task_id, task.attempt) is True


async def is_claimable(store: FullStore) -> bool:
    """Return whether a claim finds something, having checked that it says the same as a look does."""
    has_claimable = await store.has_claimable(LATER_OWNER)
    claimed = await claim(store, LATER_OWNER)
    assert bool(claimed) is has_claimable
    return has_claimable


class ParkingContract:
    """What `park` promises, and what it changes for claims, releases and cancels."""

    async def test_a_parked_task_is_nobody_s_until_it_is_decided(
        self, store: FullStore, restart: Restart, committed: list[Event]
    ) -> None:
        """N2."""
        task = await start(store)
        first, second = await ask_for(store, task, make_new(), make_new())
        told = len(committed)
        await park(store, task)
        assert len(committed) == told
        assert await store.find_held(OWNER) == {}
        assert await write_one(store, complete(task)) == Lost()
        assert await store.park(task.task_id, 1) == Lost()
        parked = await store.get_task(ANNA, task.task_id)
        assert (parked.state, parked.approvals) == (TaskState.INPUT_REQUIRED, (first, second))
        store = await restart()
        assert not await is_claimable(store)
        assert (await resolve(store, task, deny(first.approval_id))).task.state is TaskState.INPUT_REQUIRED
        assert not await is_claimable(store)
        resolved = await resolve(store, task, approve(second.approval_id))
        assert (resolved.task.state, resolved.task.attempt) == (TaskState.WORKING, 1)
        assert await store.has_claimable(LATER_OWNER)
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.state, claimed.task.attempt) == (TaskState.WORKING, 2)
        assert claimed.task.start_time == task.start_time
        since = (claimed.task.update_time - task.create_time).total_seconds()
        assert 0.0 < claimed.task.parked_seconds <= since
        assert isinstance(await write_one(store, complete(claimed.task)), Stored)

    async def test_a_parked_task_may_be_claimed_when_its_first_approval_is_over(self, store: FullStore) -> None:
        """N2: who takes it closes what is over."""
        task = await start(store)
        late, later = await ask_one(store, task, seconds=0.0), await ask_one(store, task)
        await park(store, task)
        assert await store.has_claimable(LATER_OWNER)
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.state, claimed.task.attempt) == (TaskState.WORKING, 2)
        expired = await store.expire_approvals(task.task_id, 2)
        assert not isinstance(expired, Lost)
        assert [approval.approval_id for approval in expired] == [late.approval_id]
        assert (await store.get_task(ANNA, task.task_id)).approvals == (later,)

    async def test_a_task_that_was_parked_may_be_parked_again(self, store: FullStore) -> None:
        """N2: the times add up."""
        task = await start(store)
        parked_seconds = [0.0]
        for _ in range(3):
            await ask_one(store, task)
            await park(store, task)
            await resolve(store, task, approve())
            (claimed,) = await claim(store, LATER_OWNER)
            task = claimed.task
            parked_seconds.append(task.parked_seconds)
            assert task.parked_count == task.attempt - 1
        assert parked_seconds == sorted(set(parked_seconds))
        assert (await store.get_task(ANNA, task.task_id)).parked_seconds == parked_seconds[-1]

    async def test_only_what_waits_for_approvals_alone_is_parked(self, store: FullStore) -> None:
        """N2 (refusal)."""
        working, asking, canceling = await start(store), await start(store), await start(store)
        await ask_one(store, working)
        await resolve(store, working, approve())
        for task in (asking, canceling):
            await ask_one(store, task)
        await ask(store, asking)
        await store.request_cancel(ANNA, canceling.task_id, HARD, None)
        results = [await store.park(task.task_id, 1) for task in (working, asking, canceling)]
        assert results == [False, False, False]
        assert (await store.get_task(ANNA, asking.task_id)).state is TaskState.INPUT_REQUIRED
        assert (await store.find_held(OWNER)).keys() == {task.task_id for task in (working, asking, canceling)}
        await reply(store, asking)
        await park(store, asking)
        await reply_is_not_needed(store, asking)

    async def test_only_its_holder_parks_a_task(self, store: FullStore) -> None:
        """R11."""
        task = await start(store)
        await ask_one(store, task)
        assert await store.park(task.task_id, 2) == Lost()
        assert await store.park(new_id(), 1) == Lost()
        assert (await store.find_held(OWNER)).keys() == {task.task_id}

    async def test_a_task_that_is_given_up_is_parked_if_it_waits_for_approvals_alone(self, store: FullStore) -> None:
        """R3, N2."""
        task = await start(store)
        await ask_one(store, task)
        await store.release_task(task.task_id, 1)
        assert not await is_claimable(store)
        await resolve(store, task, approve())
        (claimed,) = await claim(store, LATER_OWNER)
        assert claimed.task.parked_seconds > 0
        await ask_one(store, claimed.task)
        await ask(store, claimed.task)
        await store.release_task(task.task_id, 2)
        assert await is_claimable(store)

    async def test_a_task_that_is_given_up_is_parked_only_if_it_may_be(self, store: FullStore) -> None:
        """R3, N2: its holder knows whether something else of it goes on."""
        task = await start(store)
        approval = await ask_one(store, task)
        await store.release_task(task.task_id, 1, may_park=False)
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.attempt, claimed.task.parked_count, claimed.task.approvals) == (2, 0, (approval,))

    async def test_a_waiting_task_of_a_dead_owner_is_taken_over(self, store: FullStore, restart: Restart) -> None:
        """R3, N2: it was not parked, and waits in a process again."""
        task = await start(store)
        approval = await ask_one(store, task)
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.attempt, claimed.task.approvals, claimed.task.parked_seconds) == (2, (approval,), 0.0)

    async def test_a_parked_task_is_canceled_here_and_now(self, store: FullStore, committed: list[Event]) -> None:
        """R5, N2."""
        task = await start(store)
        await store.write([TaskWrite(task_id=task.task_id, attempt=1, usage=SPENT)])
        approval = await ask_one(store, task)
        await park(store, task)
        record = await store.request_cancel(ANNA, task.task_id, SOFT, None)
        assert (record.task.state, record.to_interrupt) == (TaskState.CANCELED, ())
        assert record.task.parked_seconds > 0
        assert [event.payload for event in committed[-2:]] == [
            ApprovalResolved(approval_id=approval.approval_id, state=ApprovalState.EXPIRED),
            TaskCanceled(reason=SOFT.reason, usage=SPENT),
        ]
        assert not await is_claimable(store)

    @pytest.mark.parametrize("at_root", [True, False])
    async def test_a_cancel_reaches_what_is_below_a_parked_task_and_what_is_parked_below(
        self, store: FullStore, *, at_root: bool
    ) -> None:
        """R5, N2."""
        root = await start(store)
        parked = await start(store, make_child(root))
        running = await start(store, make_child(parked))
        await ask_one(store, parked)
        await store.release_task(parked.task_id, 1)
        record = await store.request_cancel(ANNA, (root if at_root else parked).task_id, SOFT, None)
        interrupted = {task.task_id for task in (parked, running, root)[: 3 if at_root else 2]}
        assert set(record.to_interrupt) == interrupted
        log = await read_log(store, root)
        assert log.count(SOFTLY) == len(interrupted)
        (claimed,) = await claim(store, OWNER)
        assert (claimed.task.task_id, claimed.task.state) == (parked.task_id, TaskState.CANCELING)

    async def test_a_decided_task_that_nobody_has_taken_yet_is_told_to_stop(self, store: FullStore) -> None:
        """R5, N2."""
        task = await start(store)
        await ask_one(store, task)
        await park(store, task)
        await resolve(store, task, approve())
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        (claimed,) = await claim(store, LATER_OWNER)
        assert claimed.task.state is TaskState.CANCELING


async def reply_is_not_needed(store: FullStore, task: Task) -> None:
    """Check that a decision is all that a task waits for."""
    assert (await resolve(store, task, approve())).task.state is TaskState.WORKING
