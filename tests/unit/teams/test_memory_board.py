import pytest

from musterd.domain.board import BoardMember
from musterd.domain.team_board import UnknownMemberError
from musterd.teams import InboxFullError, SharedTodoList, TeamMessageBus, TodoRefused
from musterd.teams.memory_board import MemoryTeamBoard

ANN, BOB = BoardMember(name="ann", role="writer"), BoardMember(name="bob")


async def board_of(*members: BoardMember, bus: TeamMessageBus | None = None) -> MemoryTeamBoard:
    board = MemoryTeamBoard(SharedTodoList(), bus)
    await board.open("crew", members)
    return board


async def test_a_board_shows_its_team_todos_and_messages() -> None:
    """T6: what members do on it is what everybody reads."""
    board = await board_of(ANN, BOB)
    todo = await board.add_todo("write", blocked_by=(), created_by="ann", key="1")
    message = await board.send("ann", "bob", "hello", key="2")
    state = await board.read()
    assert (state.team, state.members) == ("crew", (ANN, BOB))
    assert state.todos == {todo.id: todo}
    assert state.messages == (message,)
    assert await board.message_bus.receive("bob") == [message]


async def test_a_board_that_was_never_opened_has_no_team() -> None:
    """T5: so a run without a team is one whose board has none."""
    state = await MemoryTeamBoard().read()
    assert (state.team, state.members, dict(state.todos)) == ("", (), {})


async def test_a_board_can_be_given_to_another_team() -> None:
    """T5: the items stay; who is no longer in it loses the inbox, the others keep theirs."""
    board = await board_of(ANN, BOB)
    await board.add_todo("write", blocked_by=(), created_by="ann", key="1")
    await board.send("bob", "ann", "hello", key="2")
    await board.open("band", [ANN])
    state = await board.read()
    assert (state.team, len(state.todos)) == ("band", 1)
    assert board.message_bus.registered_agents() == ["leader", "ann"]
    assert len(await board.message_bus.receive("ann")) == 1


async def test_todos_follow_the_rules_of_the_list() -> None:
    """T6: a member completes its own, and nobody else's."""
    board = await board_of(ANN, BOB)
    todo = await board.add_todo("write", blocked_by=(), created_by="ann", key="1")
    assert await board.claim_todo(todo.id, "ann")
    assert await board.claim_todo(todo.id, "ann")
    assert not await board.claim_todo(todo.id, "bob")
    with pytest.raises(TodoRefused, match="belongs to 'ann'"):
        await board.complete_todo(todo.id, "bob", "")
    await board.release_todos("ann", "tired")
    assert await board.claim_todo(todo.id, "bob")
    await board.complete_todo(todo.id, "bob", "a page")
    assert (await board.read()).todos[todo.id].result == "a page"
    assert await board.remove_todo(todo.id, "bob", key="2")
    assert not await board.remove_todo(todo.id, "bob", key="3")


async def test_a_message_to_all_reaches_the_leader_too() -> None:
    """T6: all but the sender."""
    board = await board_of(ANN, BOB)
    await board.send("ann", "", "all hands", key="1")
    assert len(await board.message_bus.receive("leader")) == 1
    assert len(await board.message_bus.receive("bob")) == 1
    assert await board.message_bus.receive("ann") == []


async def test_a_message_that_cannot_arrive_leaves_nothing() -> None:
    """T6: unknown receiver, taken away inbox, full inbox."""
    board = await board_of(ANN, BOB, bus=TeamMessageBus(inbox_max_messages=1))
    with pytest.raises(UnknownMemberError, match="there is no 'cid' in the team; there are leader, ann, bob"):
        await board.send("ann", "cid", "hello", key="1")
    await board.send("ann", "bob", "hello", key="2")
    with pytest.raises(InboxFullError):
        await board.send("ann", "bob", "hello again", key="3")
    board.message_bus.unregister("bob")
    with pytest.raises(UnknownMemberError, match="'bob' is not registered"):
        await board.send("ann", "bob", "hello?", key="4")
    assert [message.content for message in (await board.read()).messages] == ["hello"]
