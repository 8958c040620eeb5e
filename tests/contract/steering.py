"""Messages from outside for running tasks."""

from dataclasses import replace

import pytest
from tests.contract.canceling import end_canceled
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ADMIN,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    HARD,
    complete,
    fail,
    make_key,
    make_root,
    make_steer,
    read_log,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Steered, TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.ids import new_id
from musterd.domain.orders import Inbox, SteerState
from musterd.domain.ports import Lost, Store, TaskWrite
from musterd.domain.task import Task, TaskState


def apply(task: Task, *steer_ids: str) -> TaskWrite:
    """Return the write that puts messages into a request to the model."""
    payloads = tuple(Steered(steer_id=steer_id, step=1, message="") for steer_id in steer_ids)
    return TaskWrite(task_id=task.task_id, attempt=task.attempt, payloads=payloads, applied_steer_ids=tuple(steer_ids))


class SteeringContract:
    """What `add_steer`, `get_steer` and `read_inbox` promise."""

    async def test_a_message_waits_in_the_inbox(self, store: Store, restart: Restart) -> None:
        """R6."""
        task = await start(store)
        wished = make_steer(task, 'mind the "gap" 🐝')
        steer, seen = await store.add_steer(ANNA, wished, None)
        assert steer == wished
        assert steer.state is SteerState.PENDING
        assert seen == await store.get_task(ANNA, task.task_id)
        assert await store.get_steer(steer.steer_id) == steer
        assert await (await restart()).read_inbox(task.task_id) == Inbox(steers=(steer,), cancel=None)

    async def test_an_inbox_keeps_the_order_of_messages(self, store: Store) -> None:
        """R6."""
        task, other = await start(store), await start(store)
        steers = [(await store.add_steer(ANNA, make_steer(task, f"{number}"), None))[0] for number in range(12)]
        await store.add_steer(ANNA, make_steer(other), None)
        await store.write([apply(task, steers[3].steer_id)])
        steers[3] = replace(steers[3], state=SteerState.APPLIED)
        assert (await store.read_inbox(task.task_id)).steers == tuple(steers)

    async def test_an_applied_message_stays_applied(self, store: Store) -> None:
        """R6."""
        task = await start(store)
        steer, _ = await store.add_steer(ANNA, make_steer(task), None)
        await store.write([apply(task, steer.steer_id)])
        assert (await store.get_steer(steer.steer_id)).state is SteerState.APPLIED
        await store.write([complete(task)])
        assert (await store.get_steer(steer.steer_id)).state is SteerState.APPLIED

    async def test_a_lost_write_applies_nothing(self, store: Store) -> None:
        """R6."""
        task = await start(store)
        steer, _ = await store.add_steer(ANNA, make_steer(task), None)
        assert await write_one(store, replace(apply(task, steer.steer_id), attempt=2)) == Lost()
        assert (await store.get_steer(steer.steer_id)).state is SteerState.PENDING

    async def test_a_task_cannot_apply_the_message_of_another(self, store: Store) -> None:
        """R6."""
        task, other = await start(store), await start(store)
        steer, _ = await store.add_steer(ANNA, make_steer(task), None)
        await store.write([apply(other, steer.steer_id)])
        assert (await store.get_steer(steer.steer_id)).state is SteerState.PENDING

    async def test_messages_that_wait_when_a_task_ends_are_refused(self, store: Store) -> None:
        """R6."""
        failed, canceled, completed = await start(store), await start(store), await start(store)
        for task, ending in (
            (failed, fail(failed)),
            (canceled, end_canceled(canceled)),
            (completed, complete(completed)),
        ):
            applied, _ = await store.add_steer(ANNA, make_steer(task), None)
            waiting = [(await store.add_steer(ANNA, make_steer(task), None))[0].steer_id for _ in range(2)]
            await store.write([replace(ending, applied_steer_ids=(applied.steer_id,))])
            states = [steer.state for steer in (await store.read_inbox(task.task_id)).steers]
            assert states == [SteerState.APPLIED, SteerState.REFUSED, SteerState.REFUSED]
            match (await read_log(store, task))[-1]:
                case TaskFailed() | TaskCanceled() as end:
                    assert end.unapplied_steer_ids == tuple(waiting)
                case end:
                    assert isinstance(end, TaskCompleted)

    async def test_a_task_that_has_ended_takes_no_message(self, store: Store) -> None:
        """R6 (refusal)."""
        task = await start(store)
        await store.write([complete(task)])
        with pytest.raises(MusterdError) as refused:
            await store.add_steer(ANNA, make_steer(task), make_key("r1", method="SteerTask"))
        assert refused.value.reason is Reason.TASK_NOT_STEERABLE
        assert await store.read_inbox(task.task_id) == Inbox(steers=(), cancel=None)
        assert await store.find_request(make_key("r1", method="SteerTask")) is None

    async def test_a_task_that_is_being_canceled_takes_no_message(self, store: Store) -> None:
        """R6 (refusal)."""
        task = await start(store)
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        with pytest.raises(MusterdError) as refused:
            await store.add_steer(ANNA, make_steer(task), None)
        assert refused.value.reason is Reason.TASK_NOT_STEERABLE

    async def test_a_task_that_has_not_started_takes_messages(self, store: Store) -> None:
        """R6."""
        task = await start(store, make_root(owner=None))
        steer, seen = await store.add_steer(ANNA, make_steer(task), None)
        assert (steer.state, seen.state) == (SteerState.PENDING, TaskState.SUBMITTED)

    async def test_a_repeated_call_gets_the_first_message(self, store: Store) -> None:
        """R6, R8."""
        task = await start(store)
        key = make_key("r1", method="SteerTask")
        first, _ = await store.add_steer(ANNA, make_steer(task), key)
        again, _ = await store.add_steer(ANNA, make_steer(task), key)
        assert again == first
        await store.write([apply(task, first.steer_id)])
        await store.write([complete(task)])
        late, ended = await store.add_steer(ANNA, make_steer(task), key)
        assert (late.steer_id, late.state) == (first.steer_id, SteerState.APPLIED)
        assert ended.state is TaskState.COMPLETED
        assert len((await store.read_inbox(task.task_id)).steers) == 1
        with pytest.raises(MusterdError) as refused:
            await store.add_steer(ANNA, make_steer(task), make_key("r1", method="SteerTask", body="other"))
        assert refused.value.reason is Reason.REQUEST_ID_REUSED

    async def test_only_who_sees_a_task_may_steer_it(self, store: Store) -> None:
        """I5."""
        task = await start(store)
        for stranger in (BERT, ANNA_ELSEWHERE):
            with pytest.raises(MusterdError) as refused:
                await store.add_steer(stranger, make_steer(task), None)
            assert refused.value.reason is Reason.TASK_NOT_FOUND
        await store.add_steer(ADMIN, make_steer(task), None)
        assert len((await store.read_inbox(task.task_id)).steers) == 1

    async def test_an_unknown_message_is_an_error(self, store: Store) -> None:
        """R6."""
        with pytest.raises(LookupError):
            await store.get_steer(new_id())
