"""Tasks in memory, one by one."""

import asyncio
import logging

import pytest
from tests.support.gated_model import Gate

from musterd.subagents import AgentMessage, MessageType, QueueFullError, TaskHandle, TaskManager, TaskStatus
from musterd.subagents.status import TaskPriority


def handle(task_id: str = "t", priority: TaskPriority = TaskPriority.NORMAL) -> TaskHandle:
    return TaskHandle(task_id, "worker", "do it", priority=priority)


async def at(gate: Gate, result: str = "done") -> str:
    await gate.wait()
    return result


async def fail() -> str:
    raise RuntimeError("no")


async def never() -> str:
    raise AssertionError


async def test_a_task_ends_with_what_its_coroutine_returns() -> None:
    """S12."""
    manager, gate = TaskManager(), Gate()
    task = manager.create_task("t", at(gate), handle())
    assert manager.handles["t"].status is TaskStatus.PENDING
    await gate.reached.wait()
    found = manager.get_handle("t")
    assert found is not None
    assert found.status is TaskStatus.RUNNING
    assert found.started_at is not None
    assert manager.list_active_tasks() == ["t"]
    gate.open()
    await task
    assert (found.status, found.result, found.is_finished) == (TaskStatus.COMPLETED, "done", True)
    assert found.completed_at is not None
    assert not found.finish(TaskStatus.FAILED, error="too late")
    assert manager.list_active_tasks() == []
    assert manager.list_handles() == [found]


async def test_a_failure_is_kept_and_never_raised(caplog: pytest.LogCaptureFixture) -> None:
    """S12."""
    manager = TaskManager()
    with caplog.at_level(logging.WARNING):
        await manager.create_task("t", fail(), handle())
    assert (manager.handles["t"].status, manager.handles["t"].error) == (TaskStatus.FAILED, "RuntimeError: no")
    assert "subagent 'worker' failed in task t" in caplog.text


async def test_the_same_id_twice_is_refused() -> None:
    """S12 (refusal)."""
    manager = TaskManager()
    await manager.create_task("t", at_once(), handle())
    with pytest.raises(ValueError, match="Task 't' already exists"):
        manager.create_task("t", never(), handle())


async def at_once() -> str:
    return "done"


async def test_more_tasks_than_may_wait_are_refused() -> None:
    """S13 (refusal): the limits themselves fit."""
    manager, gate = TaskManager(max_running=1, max_queued=1), Gate()
    manager.create_task("1", at(gate), handle("1"))
    manager.create_task("2", at(gate), handle("2"))
    with pytest.raises(QueueFullError):
        manager.create_task("3", never(), handle("3"))
    assert manager.get_handle("3") is None
    await manager.cancel_all()


async def test_tasks_run_in_the_order_of_their_priority() -> None:
    """S13."""
    manager, gate, order = TaskManager(max_running=1), Gate(), list[str]()

    async def note(name: str) -> str:
        order.append(name)
        return name

    first = manager.create_task("first", at(gate), handle("first"))
    others = [
        manager.create_task(priority, note(priority), handle(priority, priority=priority)) for priority in TaskPriority
    ]
    await gate.reached.wait()
    assert order == []
    gate.open()
    await asyncio.gather(first, *others)
    assert order == ["critical", "high", "normal", "low"]


async def test_a_hard_cancellation_waits_for_the_end() -> None:
    """S9, S12."""
    manager, gate, ended = TaskManager(), Gate(), list[str]()

    async def work() -> str:
        try:
            return await at(gate)
        finally:
            ended.append("cleaned up")

    manager.create_task("t", work(), handle())
    await gate.reached.wait()
    assert await manager.hard_cancel("t")
    assert ended == ["cleaned up"]
    assert manager.handles["t"].status is TaskStatus.CANCELLED
    assert not await manager.hard_cancel("t")
    assert not await manager.soft_cancel("t")
    assert not await manager.hard_cancel("unknown")


async def test_a_task_is_canceled_before_its_first_step() -> None:
    """S9: what it was to run is closed, and never begun."""
    manager = TaskManager()
    manager.create_task("t", never(), handle())
    assert await manager.hard_cancel("t")
    assert manager.handles["t"].started_at is None


async def test_a_task_that_waits_for_its_turn_ends_at_once_when_canceled_softly() -> None:
    """S9."""
    manager, gate = TaskManager(max_running=1), Gate()
    manager.create_task("1", at(gate), handle("1"))
    waiting = manager.create_task("2", never(), handle("2"))
    assert await manager.soft_cancel("2")
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert manager.handles["2"].status is TaskStatus.CANCELLED
    await manager.cancel_all()


async def test_a_soft_cancellation_interrupts_when_the_grace_is_over() -> None:
    """S9, R5."""
    manager, gate = TaskManager(soft_cancel_grace_seconds=0), Gate()
    task = manager.create_task("t", at(gate), handle())
    await gate.reached.wait()
    event = manager.get_cancel_event("t")
    assert event is not None
    assert await manager.soft_cancel("t")
    assert await manager.soft_cancel("t")
    assert event.is_set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert manager.get_cancel_event("t") is None


async def test_a_task_that_does_not_end_counts_as_ended(caplog: pytest.LogCaptureFixture) -> None:
    """S9: cancel never hangs."""
    manager, gate = TaskManager(cancel_abandon_seconds=0.001), Gate()

    async def stubborn() -> str:
        while True:
            try:
                return await at(gate)
            except asyncio.CancelledError:
                continue

    task = manager.create_task("t", stubborn(), handle())
    await gate.reached.wait()
    assert await manager.hard_cancel("t")
    assert "task t does not end although it was canceled" in caplog.text
    gate.open()
    await task
    assert manager.handles["t"].status is TaskStatus.CANCELLED


async def test_questions_are_answered_by_id_or_the_oldest_first() -> None:
    """S7."""
    manager = TaskManager()

    async def ask() -> str:
        return " ".join(str(each) for each in await asyncio.gather(manager.ask("t", "1?"), manager.ask("t", "2?")))

    found = handle()
    task = manager.create_task("t", ask(), found)
    await manager.wait_until(lambda: len(found.questions) == 2)
    second = list(found.questions)[1]
    assert found.status is TaskStatus.WAITING_FOR_ANSWER
    assert found.pending_question == "1?"
    assert manager.answer("t", "b", second)
    assert not manager.answer("t", "b", second)
    assert found.status is TaskStatus.WAITING_FOR_ANSWER
    assert manager.answer("t", "a")
    assert found.status is TaskStatus.RUNNING
    assert not manager.answer("t", "c")
    assert not manager.answer("unknown", "c")
    await task
    assert found.result == "a b"


async def test_a_question_has_a_time_limit() -> None:
    """S7."""
    manager = TaskManager()
    found = handle()
    await manager.create_task("t", manager.ask("t", "1?", seconds=0), found)
    assert (found.status, found.result, found.questions) == (TaskStatus.COMPLETED, None, {})


async def test_a_soft_cancellation_closes_questions() -> None:
    """S9, S7: whoever asks goes on to its next boundary, and asks nothing more."""
    manager = TaskManager()

    async def ask_twice() -> str:
        return f"{await manager.ask('t', '1?')} {await manager.ask('t', '2?')}"

    found = handle()
    task = manager.create_task("t", ask_twice(), found)
    await manager.wait_until(lambda: bool(found.questions))
    assert await manager.soft_cancel("t")
    await task
    assert found.result == "None None"


async def test_whoever_asks_lets_others_run() -> None:
    """S13."""
    manager = TaskManager(max_running=1)

    async def ask() -> str:
        return f"{await manager.ask('asks', '?')}"

    asking = manager.create_task("asks", ask(), handle("asks"))
    other = manager.create_task("other", at_once(), handle("other"))
    await other
    assert manager.answer("asks", "yes")
    await asking
    assert manager.handles["asks"].result == "yes"


async def test_messages_go_over_the_bus() -> None:
    """S8, S12."""
    manager, gate, seen = TaskManager(), Gate(), list[AgentMessage]()

    async def note(message: AgentMessage) -> None:
        seen.append(message)

    manager.message_bus.add_handler(note)
    task = manager.create_task("t", at(gate), handle())
    assert await manager.send("t", "hello")
    assert [(each.type, each.receiver, each.payload) for each in seen] == [
        (MessageType.TASK_UPDATE, "subagent-t", {"message": "hello"})
    ]
    gate.open()
    await task
    assert not await manager.send("t", "too late")


async def test_a_wait_ends_when_its_time_is_over() -> None:
    """S6."""
    await TaskManager().wait_until(lambda: False, seconds=0)


async def test_only_what_has_ended_is_forgotten() -> None:
    """S12."""
    manager, gate = TaskManager(), Gate()
    task = manager.create_task("t", at(gate), handle())
    manager.forget("t")
    assert manager.get_handle("t") is not None
    gate.open()
    await task
    manager.forget("t")
    assert manager.get_handle("t") is None
