"""The bus that carries messages in memory."""

import asyncio
import logging

import pytest

from musterd.subagents import AgentMessage, InMemoryMessageBus, MessageType, create_message_bus


def message(receiver: str = "b", payload: str = "hello") -> AgentMessage:
    return AgentMessage(MessageType.TASK_UPDATE, "a", receiver, payload, "task-1")


async def test_messages_wait_for_their_receiver_in_order() -> None:
    """S12."""
    bus = create_message_bus()
    bus.register_agent("b")
    await bus.send(message(payload="first"))
    await bus.send(message(payload="second"))
    assert [each.payload for each in await bus.get_messages("b")] == ["first", "second"]
    assert await bus.get_messages("b") == []


async def test_who_is_not_registered_gets_nothing() -> None:
    """S12 (refusal)."""
    bus = InMemoryMessageBus()
    with pytest.raises(KeyError, match="Agent 'b' is not registered"):
        await bus.send(message())
    with pytest.raises(KeyError):
        await bus.get_messages("b")
    bus.register_agent("b")
    with pytest.raises(ValueError, match="Agent 'b' is already registered"):
        bus.register_agent("b")
    assert bus.registered_agents() == ["b"]
    bus.unregister_agent("b")
    bus.unregister_agent("b")
    assert not bus.is_registered("b")


async def test_a_full_queue_refuses() -> None:
    """S12 (refusal): the limit itself fits."""
    bus = InMemoryMessageBus(max_waiting=1)
    bus.register_agent("b")
    await bus.send(message())
    with pytest.raises(asyncio.QueueFull):
        await bus.send(message())


async def test_a_question_gets_its_answer() -> None:
    """S12: answers find their question, two at a time."""
    bus = InMemoryMessageBus()
    bus.register_agent("parent")
    asking = [asyncio.create_task(bus.ask("child", "parent", text, "task-1")) for text in ("one", "two")]
    first, second = await bus.get_messages("parent", timeout=5) + await bus.get_messages("parent", timeout=0)
    await bus.answer(second, "2")
    await bus.answer(first, "1")
    assert [(await each).payload for each in asking] == ["1", "2"]


async def test_a_question_without_an_answer_times_out_and_a_late_answer_is_a_message() -> None:
    """S12."""
    bus = InMemoryMessageBus()
    bus.register_agent("parent")
    bus.register_agent("child")
    with pytest.raises(TimeoutError):
        await bus.ask("child", "parent", "which?", "task-1", timeout=0)
    (question,) = await bus.get_messages("parent")
    await bus.answer(question, "late")
    (answer,) = await bus.get_messages("child")
    assert (answer.type, answer.payload, answer.correlation_id) == (
        MessageType.ANSWER,
        "late",
        question.correlation_id,
    )


async def test_handlers_see_messages_and_cannot_break_the_bus(caplog: pytest.LogCaptureFixture) -> None:
    """S12."""
    bus = InMemoryMessageBus()
    bus.register_agent("b")
    seen: list[str] = []

    async def broken(_: AgentMessage) -> None:
        raise RuntimeError("no")

    async def note(each: AgentMessage) -> None:
        seen.append(each.payload)

    bus.add_handler(broken)
    bus.add_handler(note)
    with caplog.at_level(logging.ERROR):
        await bus.send(message())
    bus.remove_handler(note)
    bus.remove_handler(note)
    await bus.send(message(payload="unseen"))
    assert seen == ["hello"]
    assert "a handler of the message bus failed" in caplog.text


async def test_a_receiver_can_wait_for_a_message() -> None:
    """S12."""
    bus = InMemoryMessageBus()
    bus.register_agent("b")
    waiting = asyncio.create_task(bus.get_messages("b", timeout=30))
    await asyncio.sleep(0)
    await bus.send(message())
    assert [each.payload for each in await waiting] == ["hello"]
    assert await bus.get_messages("b", timeout=0.001) == []


def test_memory_is_the_only_backend() -> None:
    """S12 (refusal)."""
    with pytest.raises(ValueError, match="Unknown message bus backend: redis"):
        create_message_bus("redis")
