"""A team's board: what may be done to it, and what comes of that."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from musterd.domain.board import (
    LEADER,
    MAX_MESSAGE_CHARS,
    BoardMember,
    TeamMessage,
    Todo,
    TodoRefused,
    Todos,
    TodoStatus,
    with_added,
    with_claimed,
    with_completed,
    with_released,
    without,
)
from musterd.domain.event import TeamMessageSent, TodoChange, TodoChanged

MAX_MESSAGES = 10_000


class UnknownMemberError(ValueError):
    """A message for somebody who is not in the team. The text names who is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A team's board as it stands: items in the order in which they were added, messages in that of their sending."""

    team: str
    members: tuple[BoardMember, ...]
    todos: Todos = field(default_factory=dict[str, Todo])
    messages: tuple[TeamMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBoard:
    """Begin a board, or give it to another team; its todos and messages stay. The same again changes nothing."""

    team: str
    members: tuple[BoardMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTodo:
    """Add an item. The same id again changes nothing."""

    todo_id: str
    content: str
    blocked_by: tuple[str, ...] = ()
    created_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTodo:
    """Take an item on."""

    todo_id: str
    member: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTodo:
    """Say that an item is done. `member` None does it for whoever has it."""

    todo_id: str
    member: str | None
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTodos:
    """Give up what a member has in hand: all its items, or one."""

    member: str
    reason: str = ""
    todo_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTodo:
    """Take an item off the list."""

    todo_id: str
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Send a message to one, or with an empty `receiver` to all but the sender. The same id again changes nothing."""

    message_id: str
    sender: str
    receiver: str
    content: str


TodoCommand = AddTodo | ClaimTodo | CompleteTodo | ReleaseTodos | RemoveTodo
BoardCommand = OpenBoard | SendMessage | TodoCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardChange:
    """What a command makes of a board.

    `is_done` is False for a claim that somebody else was faster with, or that has to wait; nothing changed then.
    """

    board: Board
    is_done: bool = True
    changes: tuple[TodoChanged | TeamMessageSent, ...] = ()


def change_board(board: Board, command: BoardCommand, now: datetime) -> BoardChange:
    """Apply a command; one that was applied before changes nothing, so that it can be repeated.

    Raises TodoRefused or UnknownMemberError with what is wrong.
    """
    match command:
        case OpenBoard():
            return BoardChange(board=replace(board, team=command.team, members=command.members))
        case SendMessage():
            return _with_message(board, command, now)
        case _:
            return _with_command(board, command)


def _with_command(board: Board, command: TodoCommand) -> BoardChange:
    todos = board.todos
    match command:
        case AddTodo():
            todo = Todo(
                id=command.todo_id,
                content=command.content,
                blocked_by=command.blocked_by,
                created_by=command.created_by,
            )
            return _with_todos(board, with_added(todos, todo), TodoChange.ADDED, command.created_by)
        case ClaimTodo():
            claimed = with_claimed(todos, command.todo_id, command.member)
            changed = _with_todos(board, claimed or todos, TodoChange.CLAIMED, command.member)
            return replace(changed, is_done=claimed is not None)
        case CompleteTodo():
            completed = with_completed(todos, command.todo_id, command.member, command.result)
            return _with_todos(board, completed, TodoChange.COMPLETED, command.member or "")
        case ReleaseTodos():
            return _released(board, command)
        case RemoveTodo():
            changed = _with_todos(board, without(todos, command.todo_id), TodoChange.REMOVED, command.actor)
            return replace(changed, is_done=command.todo_id in todos)
        case _:
            assert_never(command)


def _released(board: Board, command: ReleaseTodos) -> BoardChange:
    todos = board.todos
    for todo_id in [command.todo_id] if command.todo_id is not None else list(todos):
        todos = with_released(todos, todo_id, command.member, command.reason)
    return _with_todos(board, todos, TodoChange.RELEASED, "")


def _with_todos(board: Board, todos: Todos, change: TodoChange, actor: str) -> BoardChange:
    """Return the board with another list, and an event for each item that is not as it was."""
    changes: list[TodoChanged] = []
    for todo in todos.values():
        if board.todos.get(todo.id) != todo and change is not TodoChange.REMOVED:
            has_failed = todo.status is TodoStatus.FAILED
            changes.append(TodoChanged(change=TodoChange.FAILED if has_failed else change, todo=todo, actor=actor))
    removed = [todo for todo in board.todos.values() if todo.id not in todos]
    changes += [TodoChanged(change=TodoChange.REMOVED, todo=todo, actor=actor) for todo in removed]
    return BoardChange(board=replace(board, todos=todos), changes=tuple(changes))


def _with_message(board: Board, command: SendMessage, now: datetime) -> BoardChange:
    if any(message.id == command.message_id for message in board.messages):
        return BoardChange(board=board)
    names = [LEADER, *(member.name for member in board.members)]
    if command.receiver and command.receiver not in names:
        raise UnknownMemberError(f"there is no {command.receiver!r} in the team; there are {', '.join(names)}")
    if not command.content.strip():
        raise TodoRefused("a message needs a text")
    if len(command.content) > MAX_MESSAGE_CHARS:
        raise TodoRefused(f"a message takes at most {MAX_MESSAGE_CHARS} characters, not {len(command.content)}")
    if len(board.messages) >= MAX_MESSAGES:
        raise TodoRefused(f"a team sends at most {MAX_MESSAGES} messages")
    message = TeamMessage(
        id=command.message_id,
        sender=command.sender,
        receiver=command.receiver,
        content=command.content,
        timestamp=now,
    )
    return BoardChange(
        board=replace(board, messages=(*board.messages, message)), changes=(TeamMessageSent(message=message),)
    )


def receivers_of(board: Board, message: TeamMessage) -> tuple[str, ...]:
    """Return the names of those who are to read a message."""
    if message.receiver:
        return (message.receiver,)
    return tuple(name for name in (LEADER, *(member.name for member in board.members)) if name != message.sender)
