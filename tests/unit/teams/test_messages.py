import asyncio
from datetime import UTC

import pytest

from musterd.teams import InboxFullError, TeamMessageBus


def bus_of(*names: str, inbox_max_messages: int = 10) -> TeamMessageBus:
    bus = TeamMessageBus(inbox_max_messages=inbox_max_messages)
    for name in names:
        bus.register(name)
    return bus


async def test_a_message_arrives_in_one_inbox() -> None:
    """T3: with who sent it, to whom, and when in UTC; receiving takes it out."""
    bus = bus_of("ann", "bob")
    await bus.send("ann", "bob", "hello")
    (message,) = await bus.receive("bob")
    assert (message.sender, message.receiver, message.content) == ("ann", "bob", "hello")
    assert message.timestamp.tzinfo is UTC
    assert await bus.receive("bob") == []
    assert await bus.receive("ann") == []


async def test_a_broadcast_reaches_all_but_its_sender() -> None:
    """T3: each gets a message of its own."""
    bus = bus_of("ann", "bob", "cid")
    await bus.broadcast("ann", "all hands")
    (to_bob,), (to_cid,) = await bus.receive("bob"), await bus.receive("cid")
    assert (to_bob.receiver, to_cid.receiver) == ("bob", "cid")
    assert to_bob.id != to_cid.id
    assert await bus.receive("ann") == []


async def test_a_message_to_nobody_is_refused() -> None:
    """T3 (refusal): KeyError for a name without an inbox."""
    bus = bus_of("ann")
    with pytest.raises(KeyError, match="Agent 'bob' is not registered"):
        await bus.send("ann", "bob", "hello")
    with pytest.raises(KeyError, match="Agent 'bob' is not registered"):
        await bus.receive("bob")


async def test_registering_again_keeps_the_inbox_and_unregistering_drops_it() -> None:
    """T3: registered_agents lists those with an inbox."""
    bus = bus_of("ann", "bob")
    await bus.send("ann", "bob", "hello")
    bus.register("bob")
    assert len(await bus.receive("bob")) == 1
    bus.unregister("bob")
    bus.unregister("bob")
    assert bus.registered_agents() == ["ann"]


async def test_an_inbox_holds_so_many_messages_and_no_more() -> None:
    """T3 (refusal): at the edge the sender is told who does not read; a broadcast then reaches nobody."""
    bus = bus_of("ann", "bob", "cid", inbox_max_messages=2)
    await bus.send("ann", "bob", "1")
    await bus.send("ann", "bob", "2")
    with pytest.raises(InboxFullError, match="bob has 2 unread messages"):
        await bus.send("ann", "bob", "3")
    with pytest.raises(InboxFullError, match="bob has 2 unread messages"):
        await bus.broadcast("ann", "all hands")
    assert await bus.receive("cid") == []
    assert len(await bus.receive("bob")) == 2
    await bus.broadcast("ann", "all hands")
    assert len(await bus.receive("bob")) == 1


def test_an_inbox_for_no_messages_is_refused() -> None:
    """T3: the limit is checked when the bus is made."""
    with pytest.raises(ValueError, match="inbox_max_messages must be at least 1"):
        TeamMessageBus(inbox_max_messages=0)


async def test_receiving_waits_for_the_first_message() -> None:
    """T3: a timeout is how long to wait at most."""
    bus = bus_of("ann", "bob")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(bus.receive("bob", timeout=30))
        group.create_task(bus.send("ann", "bob", "hello"))
    assert [message.content for message in waiting.result()] == ["hello"]
    assert await bus.receive("bob", timeout=0.001) == []


async def test_whoever_waits_for_a_message_is_let_go_when_the_inbox_is_taken_away() -> None:
    """T3: nobody waits for what cannot come."""
    bus = bus_of("ann", "bob")
    waiting = asyncio.create_task(bus.receive("bob", timeout=30))
    await asyncio.sleep(0)
    bus.unregister("bob")
    assert await waiting == []
