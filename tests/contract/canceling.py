"""Orders to cancel."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.contract.claiming import EXPIRED
from tests.contract.values import (
    ADMIN,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    HARD,
    SOFT,
    SPENT,
    claim,
    complete,
    fail,
    make_child,
    make_key,
    make_root,
    make_steer,
    read_log,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import CancelRequested, Event, Payload, SubtaskEnded, TaskCanceled, TaskStarted
from musterd.domain.orders import CancelRecord
from musterd.domain.ports import Store, Stored, TaskWrite
from musterd.domain.task import Output, Task, TaskState, Usage

SOFTLY = CancelRequested(reason=SOFT.reason, hard=False, grace_seconds=30.0, user_id="anna")
AT_ONCE = CancelRequested(reason=HARD.reason, hard=True, grace_seconds=0.0, user_id="anna")


def end_canceled(task: Task) -> TaskWrite:
    """Return the write with which a runner ends a canceled task."""
    return TaskWrite(
        task_id=task.task_id,
        attempt=task.attempt,
        payloads=(TaskCanceled(reason="stop it", usage=SPENT),),
        state=TaskState.CANCELED,
        usage=SPENT,
    )


async def read_state(store: Store, task: Task) -> TaskState:
    """Return the state of a task."""
    return (await store.get_task(ADMIN, task.task_id)).state


class CancelingContract:
    """What `request_cancel` promises."""

    async def test_a_running_task_is_told_to_stop(self, store: Store, committed: list[Event]) -> None:
        """R5."""
        task = await start(store)
        record = await store.request_cancel(ANNA, task.task_id, SOFT, None)
        stored = await store.get_task(ANNA, task.task_id)
        assert record == CancelRecord(task=stored, to_interrupt=(task.task_id,), was_canceled_before=False)
        assert (stored.state, stored.end_time) == (TaskState.CANCELING, None)
        assert await read_log(store, task) == [TaskStarted(), SOFTLY]
        assert [event.payload for event in committed] == [TaskStarted(), SOFTLY]
        assert (await store.read_inbox(task.task_id)).cancel == SOFT
        assert isinstance(await write_one(store, end_canceled(task)), Stored)
        assert await read_state(store, task) is TaskState.CANCELED

    async def test_a_task_that_is_being_canceled_may_end_otherwise(self, store: Store) -> None:
        """R5, R11."""
        task = await start(store)
        await store.request_cancel(ANNA, task.task_id, SOFT, None)
        assert isinstance(await write_one(store, complete(task)), Stored)
        assert await read_state(store, task) is TaskState.COMPLETED

    async def test_a_submitted_task_ends_here_and_now(self, store: Store) -> None:
        """R5."""
        task = await start(store, make_root(owner=None))
        record = await store.request_cancel(ANNA, task.task_id, SOFT, None)
        assert (record.to_interrupt, record.was_canceled_before) == ((), False)
        assert record.task.state is TaskState.CANCELED
        assert record.task.end_time is not None
        assert record.task.start_time is None
        assert await store.get_task(ANNA, task.task_id) == record.task
        assert await read_log(store, task) == [TaskStarted(), TaskCanceled(reason=SOFT.reason, usage=Usage())]
        assert list(await claim(store, "server-1", 10)) == []

    async def test_a_parked_task_ends_with_what_it_has(self, store: Store) -> None:
        """R5."""
        task = await start(store)
        output = Output(text="so far", partial=True)
        await store.write([TaskWrite(task_id=task.task_id, attempt=1, usage=SPENT, output=output)])
        await store.park_for_identity(task.task_id, 1, EXPIRED)
        record = await store.request_cancel(ANNA, task.task_id, HARD, None)
        assert (record.task.state, record.task.usage, record.task.output) == (TaskState.CANCELED, SPENT, output)
        canceled = TaskCanceled(reason=HARD.reason, usage=SPENT, output=output)
        assert (await read_log(store, task))[-1] == canceled

    @pytest.mark.parametrize("ending", [complete, fail])
    async def test_cancel_of_a_task_that_ended_otherwise_is_refused(
        self, store: Store, ending: Callable[[Task], TaskWrite]
    ) -> None:
        """R5."""
        task = await start(store)
        await store.write([ending(task)])
        with pytest.raises(MusterdError) as refused:
            await store.request_cancel(ANNA, task.task_id, SOFT, make_key("r1", method="CancelTask"))
        assert refused.value.reason is Reason.TASK_NOT_CANCELABLE
        assert len(await read_log(store, task)) == 2
        assert await store.find_request(make_key("r1", method="CancelTask")) is None

    async def test_cancel_of_a_canceled_task_says_so(self, store: Store) -> None:
        """R5."""
        task = await start(store, make_root(owner=None))
        first = await store.request_cancel(ANNA, task.task_id, SOFT, None)
        again = await store.request_cancel(ANNA, task.task_id, HARD, None)
        assert again == CancelRecord(task=first.task, to_interrupt=(), was_canceled_before=True)
        assert len(await read_log(store, task)) == 2

    async def test_the_same_order_twice_changes_nothing(self, store: Store) -> None:
        """R5."""
        task = await start(store)
        first = await store.request_cancel(ANNA, task.task_id, SOFT, None)
        again = await store.request_cancel(ANNA, task.task_id, replace(SOFT, grace_seconds=1.0), None)
        assert again == first
        assert await read_log(store, task) == [TaskStarted(), SOFTLY]
        assert (await store.read_inbox(task.task_id)).cancel == SOFT

    async def test_a_hard_order_overrides_a_soft_one_and_not_the_reverse(self, store: Store) -> None:
        """R5."""
        task = await start(store)
        for order in (SOFT, HARD, SOFT, HARD):
            record = await store.request_cancel(ANNA, task.task_id, order, None)
            assert record.to_interrupt == (task.task_id,)
        assert await read_log(store, task) == [TaskStarted(), SOFTLY, AT_ONCE]
        assert (await store.read_inbox(task.task_id)).cancel == HARD

    async def test_many_orders_at_once_are_one(self, store: Store) -> None:
        """R5."""
        task = await start(store)
        calls = [store.request_cancel(ANNA, task.task_id, SOFT, None) for _ in range(20)]
        assert {record.task.state for record in await asyncio.gather(*calls)} == {TaskState.CANCELING}
        assert await read_log(store, task) == [TaskStarted(), SOFTLY]

    async def test_a_repeated_call_gets_the_first_outcome(self, store: Store) -> None:
        """R5, R8."""
        task = await start(store, make_root(owner=None))
        key = make_key("r1", method="CancelTask")
        first = await store.request_cancel(ANNA, task.task_id, SOFT, key)
        again = await store.request_cancel(ANNA, task.task_id, SOFT, key)
        assert again == first
        assert not again.was_canceled_before
        late_key = make_key("r2", method="CancelTask")
        for _ in range(2):
            late = await store.request_cancel(ANNA, task.task_id, SOFT, late_key)
            assert late.was_canceled_before
        with pytest.raises(MusterdError) as refused:
            await store.request_cancel(ANNA, task.task_id, HARD, make_key("r1", method="CancelTask", body="other"))
        assert refused.value.reason is Reason.REQUEST_ID_REUSED

    async def test_a_repeated_call_is_no_refusal_when_the_task_ended_since(self, store: Store) -> None:
        """R5, R8."""
        task = await start(store)
        key = make_key("r1", method="CancelTask")
        await store.request_cancel(ANNA, task.task_id, SOFT, key)
        await store.write([complete(task)])
        again = await store.request_cancel(ANNA, task.task_id, SOFT, key)
        assert (again.task.state, again.to_interrupt) == (TaskState.COMPLETED, ())

    async def test_what_is_below_a_task_is_canceled_with_it(self, store: Store) -> None:
        """R5."""
        root = await start(store)
        sibling = await start(store, make_child(root))
        parent = await start(store, make_child(root))
        running = await start(store, make_child(parent))
        waiting = await start(store, make_child(running, owner=None))
        finished = await start(store, make_child(parent))
        await store.write([complete(finished)])
        logged = len(await read_log(store, root))
        record = await store.request_cancel(ANNA, parent.task_id, SOFT, None)
        assert sorted(record.to_interrupt) == sorted((parent.task_id, running.task_id))
        states = [await read_state(store, task) for task in (root, sibling, parent, running, waiting, finished)]
        assert states == [
            TaskState.WORKING,
            TaskState.WORKING,
            TaskState.CANCELING,
            TaskState.CANCELING,
            TaskState.CANCELED,
            TaskState.COMPLETED,
        ]
        page = await store.read_events(root.task_id, logged, 100)
        told: dict[str, list[Payload]] = {}
        for event in page.events:
            told.setdefault(event.task_id, []).append(event.payload)
        ended = SubtaskEnded(subtask_id=waiting.task_id, component=waiting.component, state=TaskState.CANCELED)
        assert told == {
            parent.task_id: [SOFTLY],
            running.task_id: [SOFTLY, ended],
            waiting.task_id: [TaskCanceled(reason=SOFT.reason, usage=Usage())],
        }
        assert (await store.read_inbox(running.task_id)).cancel == SOFT

    async def test_without_cascade_what_is_below_goes_on(self, store: Store) -> None:
        """R5."""
        root = await start(store)
        child = await start(store, make_child(root))
        alone = replace(SOFT, cascade=False)
        record = await store.request_cancel(ANNA, root.task_id, alone, None)
        assert record.to_interrupt == (root.task_id,)
        assert await read_state(store, child) is TaskState.WORKING
        await store.write([end_canceled(root)])
        late = await store.request_cancel(ANNA, root.task_id, SOFT, None)
        assert (late.to_interrupt, late.was_canceled_before) == ((child.task_id,), True)
        assert await read_state(store, child) is TaskState.CANCELING

    async def test_messages_that_wait_are_refused_when_a_waiting_task_is_canceled(self, store: Store) -> None:
        """R5, R6."""
        task = await start(store, make_root(owner=None))
        steer, _ = await store.add_steer(ANNA, make_steer(task), None)
        await store.request_cancel(ANNA, task.task_id, SOFT, None)
        canceled = TaskCanceled(reason=SOFT.reason, usage=Usage(), unapplied_steer_ids=(steer.steer_id,))
        assert (await read_log(store, task))[-1] == canceled

    async def test_only_who_sees_a_task_may_cancel_it(self, store: Store) -> None:
        """I5."""
        task = await start(store)
        for stranger in (BERT, ANNA_ELSEWHERE):
            with pytest.raises(MusterdError) as refused:
                await store.request_cancel(stranger, task.task_id, HARD, None)
            assert refused.value.reason is Reason.TASK_NOT_FOUND
        assert await read_state(store, task) is TaskState.WORKING
        await store.request_cancel(ADMIN, task.task_id, HARD, None)
        assert await read_state(store, task) is TaskState.CANCELING
