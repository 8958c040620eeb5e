"""Writes that are made again by somebody who did not hear what became of them."""

from dataclasses import replace

import pytest
from tests.contract.incarnations import Restart
from tests.contract.steering import apply
from tests.contract.values import (
    ANNA,
    LATER_OWNER,
    SPENT,
    claim,
    complete,
    make_deltas,
    make_steer,
    read_log,
    say,
    start,
    write_one,
)

from musterd.domain.event import Event, TaskStarted
from musterd.domain.ports import Lost, Store, Stored, TaskWrite
from musterd.domain.step import ModelStep
from musterd.domain.task import TaskState


class RepeatingContract:
    """What `write` promises about the numbers of writes."""

    async def test_a_write_that_is_made_again_has_no_effect(self, store: Store, committed: list[Event]) -> None:
        """R3, R11."""
        task = await start(store)
        deltas = make_deltas(2)
        write = replace(say(task, *deltas), number=1)
        assert isinstance(await write_one(store, write), Stored)
        told = len(committed)
        assert await write_one(store, write) == Stored(state=TaskState.WORKING, events=())
        assert await read_log(store, task) == [TaskStarted(), *deltas]
        assert len(committed) == told
        following = await write_one(store, replace(write, number=2))
        assert isinstance(following, Stored)
        assert [event.sequence for event in following.events] == [4, 5]

    async def test_nothing_of_a_repeated_write_is_stored(self, store: Store) -> None:
        """R3, R10."""
        task = await start(store)
        steer, _ = await store.add_steer(ANNA, make_steer(task), None)
        first = TaskWrite(task_id=task.task_id, attempt=1, number=3, state=TaskState.RETRYING, usage=SPENT)
        await store.write([first])
        repeated = replace(
            apply(task, steer.steer_id),
            number=2,
            state=TaskState.WORKING,
            usage=replace(SPENT, requests=9),
            steps=(ModelStep(step=1),),
        )
        before = await store.get_task(ANNA, task.task_id)
        assert await write_one(store, repeated) == Stored(
            state=TaskState.RETRYING, events=(), tree_spent=replace(SPENT, details={})
        )
        assert await store.get_task(ANNA, task.task_id) == before
        assert (await store.read_inbox(task.task_id)).steers == (steer,)
        assert (await store.load_journal(task.task_id)).model_steps == {}

    async def test_an_ending_that_is_made_again_is_not_lost(self, store: Store, restart: Restart) -> None:
        """R11: who ended a task and did not hear of it is not told that others have it."""
        task = await start(store)
        ending = replace(complete(task), number=2)
        await store.write([replace(say(task, *make_deltas(1)), number=1), ending])
        store = await restart()
        stored = Stored(state=TaskState.COMPLETED, events=(), tree_spent=replace(SPENT, details={}))
        assert await write_one(store, ending) == stored
        assert await write_one(store, replace(ending, number=3)) == Lost()
        assert len(await read_log(store, task)) == 3

    async def test_a_new_attempt_counts_anew(self, store: Store, restart: Restart) -> None:
        """R11."""
        task = await start(store)
        write = replace(say(task, *make_deltas(1)), number=7)
        await store.write([write])
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        assert await write_one(store, write) == Lost()
        renewed = await write_one(store, replace(say(claimed.task, *make_deltas(1)), number=1))
        assert isinstance(renewed, Stored)
        assert len(renewed.events) == 1

    @pytest.mark.parametrize("number", [0, 5])
    async def test_writes_of_one_batch_count_in_their_order(self, store: Store, number: int) -> None:
        """R3: writes without numbers are never repetitions."""
        task, other = await start(store), await start(store)
        write, ending = say(task, *make_deltas(1)), complete(other)
        batch = [replace(write, number=number), replace(write, number=number and number + 1), ending]
        results = await store.write(batch)
        assert [len(result.events) if isinstance(result, Stored) else None for result in results] == [1, 1, 1]
        again = await store.write(batch)
        repeated = 1 if number == 0 else 0
        assert [len(result.events) if isinstance(result, Stored) else None for result in again] == [
            repeated,
            repeated,
            None,
        ]

    async def test_events_alone_are_fenced_as_all_writes_are(self, store: Store) -> None:
        """R11: they may take a shorter way into the log."""
        task, ended = await start(store), await start(store)
        await store.write([replace(complete(ended), number=1)])
        delta = make_deltas(1)
        results = await store.write(
            [
                replace(say(task, *delta), number=1),
                replace(say(ended, *delta), number=2),
                replace(say(ended, *delta), number=1),
                replace(say(task, *delta), number=2, attempt=2),
                replace(say(task, *delta), number=2, task_id="none"),
                replace(say(task, *delta, *delta), number=2),
                replace(say(task), number=3),
            ]
        )
        assert [len(result.events) if isinstance(result, Stored) else None for result in results] == [
            1,
            None,
            0,
            None,
            None,
            2,
            0,
        ]
        assert await read_log(store, task) == [TaskStarted(), *delta * 3]
