"""Tasks that are to run at once, and the caps that all processes keep together."""

import asyncio
from dataclasses import replace

import pytest
from tests.contract.incarnations import Restart
from tests.contract.questioning import ask
from tests.contract.values import (
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    LATER_OWNER,
    OWNER,
    SPENT,
    claim,
    complete,
    make_child,
    make_key,
    make_root,
    read_log,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import TaskStarted
from musterd.domain.ports import NewTask, Store, Stored, TaskWrite
from musterd.domain.principal import Viewer
from musterd.domain.queueing import Caps
from musterd.domain.task import Task, TaskState, Usage

IN_ALL = 1_000
TWO_PER_USER = Caps(in_all=IN_ALL, per_user=2)


def capped(new: NewTask, caps: Caps = TWO_PER_USER) -> NewTask:
    """Return a new task that keeps to caps."""
    return replace(new, caps=caps)


def waiting(task: Task, *, is_waiting: bool) -> TaskWrite:
    """Return the write that says whether a task waits for others."""
    return TaskWrite(task_id=task.task_id, attempt=task.attempt, is_waiting=is_waiting)


async def state_of(store: Store, new: NewTask) -> TaskState:
    """Store a task, and return in which state it is."""
    return (await start(store, new)).state


class CappingContract:
    """What `create_task` promises about caps, and what counts as running."""

    @pytest.mark.parametrize(
        ("caps", "viewers", "other"),
        [
            (Caps(in_all=IN_ALL, per_tenant=2), (ANNA, BERT), ANNA_ELSEWHERE),
            (Caps(in_all=IN_ALL, per_user=2), (ANNA, ANNA), BERT),
            (Caps(in_all=IN_ALL, per_user=2), (ANNA, ANNA), ANNA_ELSEWHERE),
        ],
        ids=["tenant", "user", "same name elsewhere"],
    )
    async def test_one_too_many_waits_instead(
        self, store: Store, caps: Caps, viewers: tuple[Viewer, ...], other: Viewer
    ) -> None:
        """R9: at the cap it runs, above it waits; nobody else is held up."""
        for viewer in viewers:
            assert await state_of(store, capped(make_root(viewer), caps)) is TaskState.WORKING
        assert await state_of(store, capped(make_root(), caps)) is TaskState.SUBMITTED
        assert await state_of(store, capped(make_root(other), caps)) is TaskState.WORKING
        assert await store.count_queued() == 1

    async def test_who_waits_for_a_cap_has_not_begun(self, store: Store) -> None:
        """R9: its first events are told by who takes it from the queue."""
        caps = Caps(in_all=IN_ALL, per_user=0)
        created = await store.create_task(capped(make_root(), caps))
        assert created.is_new
        task = created.task
        assert (task.state, task.attempt, task.start_time) == (TaskState.SUBMITTED, 0, None)
        assert task == await store.get_task(ANNA, task.task_id)
        assert await read_log(store, task) == []
        assert OWNER not in await store.find_held(OWNER)
        (claimed,) = await claim(store)
        assert (claimed.task.task_id, claimed.task.attempt) == (task.task_id, 1)

    async def test_a_tree_that_is_full_leaves_its_next_child_to_the_queue(self, store: Store) -> None:
        """R9, S13: the parent is one of those that run, and is told of the child all the same."""
        caps = Caps(in_all=IN_ALL, per_tree=2)
        root = await start(store, capped(make_root(), caps))
        told = (TaskStarted(session_id="as the parent says"),)
        assert await state_of(store, capped(make_child(root), caps)) is TaskState.WORKING
        child = await start(store, replace(capped(make_child(root), caps), parent_payloads=told))
        assert child.state is TaskState.SUBMITTED
        assert (await read_log(store, root))[-1] == told[0]
        assert await state_of(store, capped(make_root(), caps)) is TaskState.WORKING

    async def test_a_root_is_alone_in_its_tree(self, store: Store) -> None:
        """R9."""
        assert await state_of(store, capped(make_root(), Caps(in_all=IN_ALL, per_tree=1))) is TaskState.WORKING

    async def test_a_full_queue_refuses_who_must_wait(self, store: Store) -> None:
        """R9: and stores nothing of it."""
        new = replace(capped(make_root(), Caps(in_all=IN_ALL, per_user=0)), max_queued=1)
        await start(store, new)
        with pytest.raises(MusterdError) as refused:
            await store.create_task(replace(new, task_id="other", root_task_id="other", request=make_key("r1")))
        assert refused.value.reason is Reason.CAPACITY_EXHAUSTED
        assert await store.find_request(make_key("r1")) is None

    async def test_a_repeated_call_finds_its_task_whatever_the_caps_say(self, store: Store) -> None:
        """R8, R9."""
        new = replace(capped(make_root(), Caps(in_all=IN_ALL, per_user=1)), request=make_key("r1"))
        assert await state_of(store, new) is TaskState.WORKING
        again = await store.create_task(replace(new, task_id="other", root_task_id="other"))
        assert (again.is_new, again.task.task_id, again.task.state) == (False, new.task_id, TaskState.WORKING)

    async def test_what_waits_for_others_counts_for_no_cap(self, store: Store) -> None:
        """R9, S13: until it goes on."""
        first, _ = [await start(store, capped(make_root())) for _ in range(2)]
        assert await write_one(store, waiting(first, is_waiting=True)) == Stored(state=TaskState.WORKING, events=())
        third = await start(store, capped(make_root()))
        assert third.state is TaskState.WORKING
        await store.write([waiting(first, is_waiting=False), waiting(third, is_waiting=True)])
        assert await state_of(store, capped(make_root())) is TaskState.SUBMITTED
        await store.write([waiting(first, is_waiting=True)])
        assert await state_of(store, capped(make_root())) is TaskState.WORKING

    async def test_what_waits_for_an_answer_counts_for_no_cap(self, store: Store) -> None:
        """R7, R9."""
        first, _ = [await start(store, capped(make_root())) for _ in range(2)]
        await ask(store, first)
        assert await state_of(store, capped(make_root())) is TaskState.WORKING

    async def test_what_has_ended_or_was_given_up_counts_for_no_cap(self, store: Store) -> None:
        """R9."""
        first, second = [await start(store, capped(make_root())) for _ in range(2)]
        await store.write([complete(first)])
        await store.release_task(second.task_id, second.attempt)
        assert await state_of(store, capped(make_root())) is TaskState.WORKING
        assert await state_of(store, capped(make_root())) is TaskState.WORKING
        assert await state_of(store, capped(make_root())) is TaskState.SUBMITTED

    async def test_a_lost_write_says_nothing_about_waiting(self, store: Store) -> None:
        """R9, R11."""
        first, _ = [await start(store, capped(make_root())) for _ in range(2)]
        await store.write([replace(waiting(first, is_waiting=True), attempt=first.attempt + 1)])
        assert await state_of(store, capped(make_root())) is TaskState.SUBMITTED

    async def test_a_new_attempt_does_not_wait(self, store: Store, restart: Restart) -> None:
        """R9, R11: what a dead owner has counts only once it was taken over."""
        first = await start(store)
        await store.write([waiting(first, is_waiting=True)])
        await start(store)
        store = await restart()
        mine = replace(capped(make_root()), owner=LATER_OWNER)
        assert await state_of(store, mine) is TaskState.WORKING
        assert len(await claim(store, LATER_OWNER)) == 2
        later = replace(capped(make_root(), Caps(in_all=IN_ALL, per_user=3)), owner=LATER_OWNER)
        assert await state_of(store, later) is TaskState.SUBMITTED

    async def test_a_burst_fills_a_cap_exactly(self, store: Store) -> None:
        """R9."""
        created = await asyncio.gather(*[store.create_task(capped(make_root())) for _ in range(12)])
        assert [one.task.state for one in created].count(TaskState.WORKING) == 2
        assert await store.count_queued() == 10

    async def test_a_write_that_says_what_was_spent_hears_what_the_tree_has_spent(self, store: Store) -> None:
        """R10."""
        root = await start(store)
        child = await start(store, make_child(root))
        first, second, silent = await store.write(
            [
                TaskWrite(task_id=root.task_id, attempt=1, usage=Usage(requests=2)),
                TaskWrite(task_id=child.task_id, attempt=1, usage=Usage(requests=3, output_tokens=7)),
                TaskWrite(task_id=root.task_id, attempt=1, payloads=(TaskStarted(),)),
            ]
        )
        assert isinstance(first, Stored)
        assert isinstance(second, Stored)
        assert isinstance(silent, Stored)
        assert first.tree_spent == Usage(requests=2)
        assert second.tree_spent == Usage(requests=5, output_tokens=7)
        assert silent.tree_spent is None
        ended = await write_one(store, complete(child))
        assert isinstance(ended, Stored)
        assert ended.tree_spent == replace(SPENT, requests=2 + SPENT.requests, details={})
