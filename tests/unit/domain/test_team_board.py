"""What commands make of a board."""

from datetime import UTC, datetime

import pytest

from musterd.domain.board import MAX_MESSAGE_CHARS, BoardMember, TeamMessage, TodoRefused, TodoStatus
from musterd.domain.event import TeamMessageSent, TodoChange, TodoChanged
from musterd.domain.team_board import (
    MAX_MESSAGES,
    AddTodo,
    Board,
    BoardCommand,
    ClaimTodo,
    CompleteTodo,
    OpenBoard,
    ReleaseTodos,
    RemoveTodo,
    SendMessage,
    UnknownMemberError,
    change_board,
    receivers_of,
)

NOW = datetime(2026, 5, 6, tzinfo=UTC)
EMPTY = Board(team="blue", members=(BoardMember(name="bob"), BoardMember(name="eve")))


def apply(*commands: BoardCommand, board: Board = EMPTY) -> Board:
    """Return what commands make of a board."""
    for command in commands:
        board = change_board(board, command, NOW).board
    return board


def changes_of(board: Board, command: BoardCommand) -> list[tuple[TodoChange, str, str]]:
    """Return what a command changes, of which item, and who did it."""
    changes = change_board(board, command, NOW).changes
    return [(one.change, one.todo.id, one.actor) for one in changes if isinstance(one, TodoChanged)]


def test_every_change_of_an_item_is_an_event() -> None:
    """T2."""
    board = apply(AddTodo(todo_id="a", content="dig"), AddTodo(todo_id="b", content="fill"))
    assert changes_of(EMPTY, AddTodo(todo_id="a", content="dig", created_by="eve")) == [(TodoChange.ADDED, "a", "eve")]
    claim = ClaimTodo(todo_id="a", member="bob")
    assert changes_of(board, claim) == [(TodoChange.CLAIMED, "a", "bob")]
    board = apply(claim, ClaimTodo(todo_id="b", member="bob"), board=board)
    complete = CompleteTodo(todo_id="a", member="bob")
    assert changes_of(board, complete) == [(TodoChange.COMPLETED, "a", "bob")]
    assert changes_of(board, ReleaseTodos(member="bob")) == [
        (TodoChange.RELEASED, "a", ""),
        (TodoChange.RELEASED, "b", ""),
    ]
    assert changes_of(board, ReleaseTodos(member="bob", todo_id="b")) == [(TodoChange.RELEASED, "b", "")]
    assert changes_of(board, RemoveTodo(todo_id="a", actor="leader")) == [(TodoChange.REMOVED, "a", "leader")]


def test_an_item_that_is_given_up_too_often_fails() -> None:
    """T2."""
    claim, release = ClaimTodo(todo_id="a", member="bob"), ReleaseTodos(member="bob", reason="crashed")
    board = apply(AddTodo(todo_id="a", content="dig"), claim, release, claim, release, claim)
    assert changes_of(board, release) == [(TodoChange.FAILED, "a", "")]
    assert apply(release, board=board).todos["a"].status is TodoStatus.FAILED


def test_what_changes_nothing_tells_nothing() -> None:
    """T2."""
    board = apply(AddTodo(todo_id="a", content="dig"), ClaimTodo(todo_id="a", member="bob"))
    for command, is_done in (
        (AddTodo(todo_id="a", content="another"), True),
        (ClaimTodo(todo_id="a", member="bob"), True),
        (ClaimTodo(todo_id="a", member="eve"), False),
        (ReleaseTodos(member="eve"), True),
        (RemoveTodo(todo_id="z"), False),
    ):
        change = change_board(board, command, NOW)
        assert (change.board, change.is_done, change.changes) == (board, is_done, ())


def test_another_team_finds_what_is_on_the_board() -> None:
    """T5."""
    board = apply(AddTodo(todo_id="a", content="dig"), OpenBoard(team="red", members=(BoardMember(name="ida"),)))
    assert (board.team, [member.name for member in board.members], list(board.todos)) == ("red", ["ida"], ["a"])


def test_a_message_is_sent_once() -> None:
    """T3."""
    send = SendMessage(message_id="m", sender="bob", receiver="eve", content="hi")
    message = TeamMessage(id="m", sender="bob", receiver="eve", content="hi", timestamp=NOW)
    change = change_board(EMPTY, send, NOW)
    assert change.changes == (TeamMessageSent(message=message),)
    assert change.board.messages == (message,)
    assert change_board(change.board, send, NOW).changes == ()


@pytest.mark.parametrize("receiver", ["", "bob", "eve", "leader"])
def test_members_and_the_leader_can_be_written_to(receiver: str) -> None:
    """T3."""
    assert apply(SendMessage(message_id="m", sender="user:anna", receiver=receiver, content="hi")).messages


def test_a_message_for_a_stranger_names_who_there_is() -> None:
    """T3 (refusal)."""
    with pytest.raises(UnknownMemberError, match="no 'zoe' in the team; there are leader, bob, eve"):
        apply(SendMessage(message_id="m", sender="bob", receiver="zoe", content="hi"))


def test_a_message_has_a_text_of_limited_length() -> None:
    """T3."""
    apply(SendMessage(message_id="m", sender="bob", receiver="", content="x" * MAX_MESSAGE_CHARS))
    with pytest.raises(TodoRefused, match=f"not {MAX_MESSAGE_CHARS + 1}"):
        apply(SendMessage(message_id="m", sender="bob", receiver="", content="x" * (MAX_MESSAGE_CHARS + 1)))
    with pytest.raises(TodoRefused, match="needs a text"):
        apply(SendMessage(message_id="m", sender="bob", receiver="", content=" "))


def test_a_team_sends_a_limited_number_of_messages() -> None:
    """T3."""
    message = TeamMessage(id="m", sender="bob", receiver="", content="hi", timestamp=NOW)
    send = SendMessage(message_id="another", sender="bob", receiver="", content="hi")
    nearly_full = Board(team="blue", members=EMPTY.members, messages=(message,) * (MAX_MESSAGES - 1))
    full = apply(send, board=nearly_full)
    assert len(full.messages) == MAX_MESSAGES
    assert change_board(full, send, NOW).board == full
    with pytest.raises(TodoRefused, match=f"at most {MAX_MESSAGES} messages"):
        apply(SendMessage(message_id="one more", sender="bob", receiver="", content="hi"), board=full)


def test_a_broadcast_is_for_all_but_its_sender() -> None:
    """T3."""
    for sender, receivers in (
        ("bob", ("leader", "eve")),
        ("leader", ("bob", "eve")),
        ("user:anna", ("leader", "bob", "eve")),
    ):
        message = TeamMessage(id="m", sender=sender, receiver="", content="hi", timestamp=NOW)
        assert receivers_of(EMPTY, message) == receivers
    assert receivers_of(EMPTY, TeamMessage(id="m", sender="bob", receiver="eve", content="", timestamp=NOW)) == ("eve",)
