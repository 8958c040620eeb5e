import pytest
from pydantic_ai import Agent
from tests.support.scripts import Script

from musterd.domain.board import BoardMember
from musterd.teams.board import current_board, current_member
from musterd.teams.member_tools import create_member_toolset
from musterd.teams.memory_board import MemoryTeamBoard


@pytest.fixture
async def board() -> MemoryTeamBoard:
    board = MemoryTeamBoard()
    await board.open("crew", [BoardMember(name="ann"), BoardMember(name="bob")])
    return board


async def test_the_tools_work_on_the_board_of_the_run(board: MemoryTeamBoard) -> None:
    """T6: under the name under which the run takes part."""
    script = Script(
        ("add_team_todo", {"content": "write"}),
        ("send_team_message", {"receiver": "bob", "content": "hello"}),
        ("send_team_message", {"receiver": "", "content": "hello"}),
        ("send_team_message", {"receiver": "bob", "content": " "}),
        ("add_team_todo", {"content": " "}),
        "done",
    )
    board_token, member_token = current_board.set(board), current_member.set("ann")
    try:
        await Agent(script.model, toolsets=[create_member_toolset()]).run("go")
    finally:
        current_member.reset(member_token)
        current_board.reset(board_token)
    (todo,) = (await board.read()).todos.values()
    assert (todo.content, todo.created_by) == ("write", "ann")
    assert [message.sender for message in await board.message_bus.receive("bob")] == ["ann"]
    assert script.returned_to()[2:] == [
        "Error: Name a receiver. To reach all, use broadcast_team_message.",
        "Error: a message needs a text",
        "Error: a todo needs a text",
    ]


async def test_without_a_team_the_tools_say_so() -> None:
    """T6 (refusal): they do not fail the run."""
    script = Script(("list_team_todos", {}), ("broadcast_team_message", {"content": "hi"}), "done")
    await Agent(script.model, toolsets=[create_member_toolset()]).run("go")
    assert script.returned_to() == ["Error: No team is active."] * 2


async def test_a_member_cannot_complete_what_is_anothers_and_the_leader_can(board: MemoryTeamBoard) -> None:
    """T6: a member completes its own."""
    todo = await board.add_todo("write", blocked_by=(), created_by="ann", key="1")
    await board.claim_todo(todo.id, "ann")
    call = ("complete_team_todo", {"todo_id": todo.id})
    for name, told in (
        ("bob", f"Error: todo '{todo.id}' belongs to 'ann'"),
        ("leader", f"Todo '{todo.id}' is completed"),
    ):
        script = Script(call, "done")
        await Agent(script.model, toolsets=[create_member_toolset(board=board, name=name)]).run("go")
        assert script.returned_to() == [told]


def test_every_tool_may_be_repeated() -> None:
    """T6: the board does each call's work once."""
    tools = create_member_toolset().tools
    assert set(tools) == {
        "list_team_todos",
        "add_team_todo",
        "claim_team_todo",
        "complete_team_todo",
        "send_team_message",
        "broadcast_team_message",
    }
    for tool in tools.values():
        assert tool.description
        assert tool.metadata == {"musterd_repeatable": True}
