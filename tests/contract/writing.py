"""What running tasks store: fenced, in order, and never after the end."""

import asyncio

import pytest
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ANNA,
    GREETER,
    HARD,
    LATER_OWNER,
    SPENT,
    claim,
    complete,
    fail,
    make_child,
    make_deltas,
    make_root,
    read_log,
    say,
    start,
    write_one,
)

from musterd.domain.event import Event, RestartCause, StepRestarted, TaskCompleted, TaskFailed, TaskStarted, TextDelta
from musterd.domain.ids import new_id
from musterd.domain.ports import Lost, Store, Stored, TaskWrite
from musterd.domain.step import Journal, ModelStep, ToolStatus, ToolStep
from musterd.domain.task import Output, TaskState, Usage


class WritingContract:
    """What `write` and `load_journal` promise."""

    async def test_events_get_the_next_places_in_the_log(self, store: Store) -> None:
        """R3."""
        task = await start(store)
        deltas = make_deltas(3)
        result = await write_one(store, say(task, *deltas))
        assert isinstance(result, Stored)
        assert result.state is TaskState.WORKING
        (created,) = {event.create_time for event in result.events}
        assert created >= task.create_time
        assert result.events == tuple(
            Event(task.task_id, task.task_id, sequence, created, GREETER, delta)
            for sequence, delta in enumerate(deltas, start=2)
        )
        assert (await store.read_events(task.task_id, 1, 10)).events == result.events
        assert (await store.get_task(ANNA, task.task_id)).last_sequence == 4

    async def test_results_are_in_the_order_of_the_writes(self, store: Store) -> None:
        """R3."""
        tasks = [await start(store) for _ in range(3)]
        writes = [say(task, *make_deltas(count)) for count, task in enumerate(tasks, start=1)]
        lost = TaskWrite(task_id=new_id(), attempt=1, payloads=make_deltas(1))
        results = await store.write([writes[0], lost, *writes[1:], say(tasks[0], *make_deltas(1))])
        sequences = [
            [event.sequence for event in result.events] if isinstance(result, Stored) else None for result in results
        ]
        assert sequences == [[2], None, [2, 3], [2, 3, 4], [3]]

    async def test_sequences_are_dense_when_many_write_at_once(self, store: Store, committed: list[Event]) -> None:
        """R3."""
        root = await start(store)
        tasks = [root, *await asyncio.gather(*[start(store, make_child(root)) for _ in range(9)])]
        results = await asyncio.gather(*[write_one(store, say(task, *make_deltas(7))) for task in tasks * 5])
        assert all(isinstance(result, Stored) for result in results)
        log = await read_log(store, root)
        assert len(log) == 10 + 10 * 5 * 7
        assert [event.sequence for event in committed] == list(range(1, len(log) + 1))

    async def test_the_listener_hears_of_events_before_the_writer_does(
        self, store: Store, committed: list[Event]
    ) -> None:
        """R3."""
        task = await start(store)
        result = await write_one(store, say(task, *make_deltas(2)))
        assert isinstance(result, Stored)
        assert tuple(committed[1:]) == result.events

    async def test_the_listener_hears_of_commits_in_the_order_of_each_log(
        self, store: Store, committed: list[Event]
    ) -> None:
        """R3."""
        roots = await asyncio.gather(*[start(store) for _ in range(8)])
        await asyncio.gather(*[write_one(store, say(root, *make_deltas(2))) for root in roots * 6])
        for root in roots:
            heard = [event for event in committed if event.root_task_id == root.task_id]
            assert tuple(heard) == (await store.read_events(root.task_id, 0, 100)).events

    async def test_a_write_of_an_earlier_attempt_is_lost(self, store: Store, restart: Restart) -> None:
        """R11."""
        task = await start(store)
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER, 1)
        assert await write_one(store, complete(task)) == Lost()
        assert isinstance(await write_one(store, say(claimed.task, *make_deltas(1))), Stored)
        assert len(await read_log(store, task)) == 2
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.WORKING

    async def test_a_write_of_an_attempt_to_come_or_of_no_task_is_lost(self, store: Store) -> None:
        """R11."""
        task = await start(store)
        writes = [
            TaskWrite(task_id=task_id, attempt=2, payloads=make_deltas(1)) for task_id in (task.task_id, new_id())
        ]
        assert list(await store.write(writes)) == [Lost(), Lost()]
        assert await read_log(store, task) == [TaskStarted()]

    async def test_a_write_of_a_task_that_nobody_runs_is_lost(self, store: Store) -> None:
        """R11."""
        task = await start(store, make_root(owner=None))
        assert await write_one(store, say(task, *make_deltas(1))) == Lost()

    async def test_a_task_ends_with_its_result(self, store: Store) -> None:
        """R1, R11."""
        task = await start(store)
        result = await write_one(store, complete(task))
        assert isinstance(result, Stored)
        assert result.state is TaskState.COMPLETED
        ended = await store.get_task(ANNA, task.task_id)
        assert (ended.state, ended.usage, ended.output) == (TaskState.COMPLETED, SPENT, Output(text="done"))
        assert ended.error is None
        assert ended.end_time == ended.update_time == result.events[-1].create_time
        assert (await read_log(store, task))[-1] == TaskCompleted(output=Output(text="done"), usage=SPENT)

    async def test_a_task_fails_with_its_error(self, store: Store) -> None:
        """R1, R11."""
        task = await start(store)
        write = fail(task)
        await store.write([write])
        ended = await store.get_task(ANNA, task.task_id)
        assert (ended.state, ended.error, ended.output) == (TaskState.FAILED, write.error, None)
        assert isinstance((await read_log(store, task))[-1], TaskFailed)

    async def test_the_first_terminal_state_wins(self, store: Store) -> None:
        """R11 (refusal)."""
        task = await start(store)
        first, second, late = await store.write([complete(task), fail(task), say(task, *make_deltas(1))])
        assert isinstance(first, Stored)
        assert (second, late) == (Lost(), Lost())
        ended = await store.get_task(ANNA, task.task_id)
        assert await write_one(store, fail(task)) == Lost()
        assert await store.get_task(ANNA, task.task_id) == ended
        assert len(await read_log(store, task)) == 2

    async def test_one_of_many_endings_at_once_wins(self, store: Store) -> None:
        """R11."""
        task = await start(store)
        results = await asyncio.gather(*[write_one(store, complete(task)) for _ in range(20)])
        assert sum(isinstance(result, Stored) for result in results) == 1
        assert len(await read_log(store, task)) == 2

    async def test_a_terminal_state_that_the_table_does_not_allow_makes_the_write_lost(self, store: Store) -> None:
        """R11 (refusal)."""
        task = await start(store)
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        before = await read_log(store, task)
        assert await write_one(store, fail(task, state=TaskState.REJECTED)) == Lost()
        assert await read_log(store, task) == before
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.CANCELING

    @pytest.mark.parametrize("state", [TaskState.WORKING, TaskState.RETRYING, TaskState.INPUT_REQUIRED])
    async def test_a_state_that_the_table_does_not_allow_is_ignored(self, store: Store, state: TaskState) -> None:
        """R5, R11."""
        task = await start(store)
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        result = await write_one(store, say(task, *make_deltas(1), state=state))
        assert isinstance(result, Stored)
        assert result.state is TaskState.CANCELING
        assert len(result.events) == 1

    async def test_a_task_goes_to_retrying_and_back(self, store: Store) -> None:
        """R11."""
        task = await start(store)
        for state in (TaskState.RETRYING, TaskState.WORKING):
            result = await write_one(store, say(task, state=state))
            assert result == Stored(state=state, events=())
            assert (await store.get_task(ANNA, task.task_id)).state is state

    async def test_columns_that_are_not_given_stay(self, store: Store) -> None:
        """R10."""
        task = await start(store)
        usage = Usage(requests=1, details={"audio_tokens": 2})
        await store.write([TaskWrite(task_id=task.task_id, attempt=1, usage=usage)])
        await store.write([TaskWrite(task_id=task.task_id, attempt=1, output=Output(text="par", partial=True))])
        await store.write([say(task, state=TaskState.RETRYING)])
        stored = await store.get_task(ANNA, task.task_id)
        assert (stored.usage, stored.output) == (usage, Output(text="par", partial=True))
        assert stored.update_time >= task.update_time
        assert stored.create_time == task.create_time

    async def test_no_writes_are_nothing(self, store: Store, committed: list[Event]) -> None:
        """R3."""
        task = await start(store)
        assert list(await store.write([])) == []
        assert await write_one(store, say(task)) == Stored(state=TaskState.WORKING, events=())
        assert len(committed) == 1

    async def test_a_task_may_say_very_much_at_once(self, store: Store) -> None:
        """R3."""
        task = await start(store)
        deltas = make_deltas(777)
        await store.write([say(task, *deltas)])
        assert await read_log(store, task) == [TaskStarted(), *deltas]

    async def test_text_of_any_language_comes_back(self, store: Store) -> None:
        """R3."""
        task = await start(store)
        delta = TextDelta(step=1, part_index=0, text='«ünïcode» 日本語 🐝 \x00 \n "quoted" \\ \u2028')
        restarted = StepRestarted(step=1, cause=RestartCause.RECOVERY)
        await store.write([say(task, delta, restarted)])
        assert await read_log(store, task) == [TaskStarted(), delta, restarted]

    async def test_steps_are_stored_and_replaced(self, store: Store, restart: Restart) -> None:
        """R3."""
        task, other = await start(store), await start(store)
        begun = ModelStep(step=1, steer_ids=("s1", "s2"))
        called = ToolStep(step=1, tool_call_id="c1", tool_name="add", status=ToolStatus.STARTED, repeatable=True)
        await store.write([TaskWrite(task_id=task.task_id, attempt=1, steps=(begun, called))])
        assert await store.load_journal(task.task_id) == Journal(model_steps={1: begun}, tool_steps={(1, "c1"): called})
        done = ModelStep(
            step=1,
            response_json=b'{"parts":[]}',
            steer_ids=("s1", "s2"),
            extra_usage_json=b"{}",
            known_tools=("add", "sub"),
        )
        returned = ToolStep(
            step=1,
            tool_call_id="c1",
            tool_name="add",
            status=ToolStatus.RETURNED,
            repeatable=True,
            outcome_json=b'{"sum":3}',
            enqueued_json=b"[]",
        )
        failed = ToolStep(step=1, tool_call_id="c2", tool_name="sub", status=ToolStatus.FAILED)
        second = ModelStep(step=2)
        write = TaskWrite(task_id=task.task_id, attempt=1, steps=(done, returned, failed, second))
        assert await write_one(store, write) == Stored(state=TaskState.WORKING, events=())
        journal = Journal(model_steps={1: done, 2: second}, tool_steps={(1, "c1"): returned, (1, "c2"): failed})
        assert await store.load_journal(task.task_id) == journal
        assert await store.load_journal(other.task_id) == Journal(model_steps={}, tool_steps={})
        assert await (await restart()).load_journal(task.task_id) == journal

    async def test_the_steps_of_a_lost_write_are_not_stored(self, store: Store) -> None:
        """R3."""
        task = await start(store)
        await store.write([complete(task)])
        write = TaskWrite(task_id=task.task_id, attempt=1, steps=(ModelStep(step=1),))
        assert await write_one(store, write) == Lost()
        assert (await store.load_journal(task.task_id)).model_steps == {}
