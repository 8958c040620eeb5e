"""Tasks that other tasks start."""

import asyncio
from dataclasses import replace

import pytest
from tests.contract.canceling import end_canceled
from tests.contract.claiming import park
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ANNA,
    HARD,
    LATER_OWNER,
    RESEARCHER,
    SPENT,
    claim,
    complete,
    fail,
    make_child,
    read_log,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, Payload, SubtaskEnded, SubtaskStarted, TaskCompleted, TaskStarted
from musterd.domain.ports import NewTask, Store, Stored
from musterd.domain.task import Output, Task, TaskState


def make_subtask(parent: Task, *, owner: str | None = None) -> NewTask:
    """Return a child that a tool call starts, with what is told of it."""
    new = make_child(parent, owner=owner, component=RESEARCHER)
    started = SubtaskStarted(subtask_id=new.task_id, component=RESEARCHER, description="look it up")
    return replace(new, description="look it up", parent_payloads=(started,))


def ended_as(task: Task, state: TaskState) -> SubtaskEnded:
    """Return what the parent of a child that ended is told."""
    return SubtaskEnded(subtask_id=task.task_id, component=task.component, state=state)


def said_by(events: list[Event], task: Task) -> list[Payload]:
    """Return what was told in the name of a task."""
    return [event.payload for event in events if event.task_id == task.task_id]


class ChildrenContract:
    """What a store promises about tasks with a parent."""

    async def test_a_child_and_what_its_parent_tells_of_it_are_stored_together(
        self, store: Store, committed: list[Event], restart: Restart
    ) -> None:
        """S5, T1."""
        root = await start(store)
        new = replace(make_subtask(root), outlives_parent=True)
        created = await store.create_task(new)
        child = created.task
        assert created.is_new
        assert (child.description, child.outlives_parent, child.component) == ("look it up", True, RESEARCHER)
        assert [(event.task_id, event.payload) for event in committed[1:]] == [
            (root.task_id, new.parent_payloads[0]),
            (child.task_id, TaskStarted(parent_task_id=root.task_id)),
        ]
        assert await (await restart()).get_task(ANNA, child.task_id) == child

    async def test_a_child_that_is_there_is_returned_as_it_stands(self, store: Store, committed: list[Event]) -> None:
        """S3: a tool call that is repeated after a crash attaches to the task that it started."""
        root = await start(store)
        new = make_subtask(root, owner="server-1")
        child = await start(store, new)
        await store.write([complete(child)])
        told = len(committed)
        again = await store.create_task(new)
        assert not again.is_new
        assert again.task == await store.get_task(ANNA, child.task_id)
        assert again.task.state is TaskState.COMPLETED
        assert again.budget.spent.requests == SPENT.requests
        assert len(committed) == told

    async def test_many_calls_at_once_make_one_child(self, store: Store, committed: list[Event]) -> None:
        """S3."""
        new = make_subtask(await start(store))
        created = await asyncio.gather(*[store.create_task(new) for _ in range(20)])
        assert sum(one.is_new for one in created) == 1
        assert len(committed) == 3

    async def test_only_who_runs_a_task_may_start_a_child(self, store: Store, restart: Restart) -> None:
        """S3."""
        root = await start(store)
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        with pytest.raises(MusterdError) as refused:
            await store.create_task(make_subtask(root))
        assert refused.value.reason is Reason.TASK_LOST
        assert (await store.create_task(make_subtask(claimed.task))).is_new

    async def test_a_task_that_is_on_its_way_out_starts_no_child(self, store: Store) -> None:
        """S9."""
        ended, canceling, parked = await start(store), await start(store), await start(store)
        await store.write([complete(ended)])
        await store.request_cancel(ANNA, canceling.task_id, HARD, None)
        await park(store, parked)
        for root in (ended, canceling, parked):
            before = await read_log(store, root)
            with pytest.raises(MusterdError) as refused:
                await store.create_task(make_subtask(root))
            assert refused.value.reason is Reason.TASK_LOST
            assert refused.value.message == "the parent task has ended or is being canceled"
            assert await read_log(store, root) == before
            assert await store.get_descendants(root.task_id) == []

    @pytest.mark.parametrize("state", [TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED])
    async def test_a_parent_is_told_how_its_child_ended(
        self, store: Store, committed: list[Event], state: TaskState
    ) -> None:
        """S5."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner="server-1"))
        grandchild = await start(store, make_subtask(child, owner="server-1"))
        endings = {
            TaskState.COMPLETED: complete(grandchild),
            TaskState.FAILED: fail(grandchild),
            TaskState.CANCELED: end_canceled(grandchild),
        }
        result = await write_one(store, endings[state])
        assert isinstance(result, Stored)
        assert [event.payload for event in result.events] == said_by(committed, grandchild)[1:]
        assert said_by(committed, child)[-1] == ended_as(grandchild, state)
        assert ended_as(grandchild, state) not in said_by(committed, root)
        assert (await read_log(store, root))[-1] == ended_as(grandchild, state)

    async def test_a_parent_that_has_ended_is_told_nothing_more(self, store: Store, committed: list[Event]) -> None:
        """R11, S13."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner="server-1"))
        await store.write([complete(root)])
        await store.write([complete(child)])
        assert isinstance(said_by(committed, root)[-1], TaskCompleted)
        assert (await store.get_task(ANNA, child.task_id)).state is TaskState.COMPLETED

    async def test_a_parent_hears_of_children_that_nobody_ran(self, store: Store, committed: list[Event]) -> None:
        """S9."""
        root = await start(store)
        queued = await start(store, make_subtask(root))
        parked = await start(store, make_subtask(root, owner="server-1"))
        await park(store, parked)
        for child in (queued, parked):
            await store.request_cancel(ANNA, child.task_id, HARD, None)
            assert said_by(committed, root)[-1] == ended_as(child, TaskState.CANCELED)

    async def test_both_may_end_in_one_transaction(self, store: Store, committed: list[Event]) -> None:
        """R11."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner="server-1"))
        await store.write([complete(child), complete(root)])
        assert [type(payload) for payload in said_by(committed, root)[-2:]] == [SubtaskEnded, TaskCompleted]
        assert (await store.get_task(ANNA, root.task_id)).output == Output(text="done")
