"""The board of a team in this process's memory, on a shared todo list and a message bus."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from musterd.domain.board import LEADER, BoardMember, TeamMessage, Todo
from musterd.domain.ids import new_id
from musterd.domain.team_board import (
    AddTodo,
    Board,
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
from musterd.teams.messages import TeamMessageBus
from musterd.teams.todos import SharedTodoList


class MemoryTeamBoard:
    """A `TeamBoard` that lasts as long as the object does.

    `shared_todos` and `message_bus` may be used beside it: it shows the items of the list whoever added them, and of
    the messages those that were sent through it. Each receiver finds them in its inbox of the bus.
    """

    def __init__(self, shared_todos: SharedTodoList | None = None, message_bus: TeamMessageBus | None = None) -> None:
        self.shared_todos = SharedTodoList() if shared_todos is None else shared_todos
        self.message_bus = TeamMessageBus() if message_bus is None else message_bus
        self._board = Board(team="", members=())

    async def open(self, team: str, members: Sequence[BoardMember]) -> None:
        """Begin the board, or give it to another team: who is no longer in it loses the inbox."""
        before = [member.name for member in self._board.members]
        command = OpenBoard(team=team, members=tuple(members))
        self._board = change_board(self._board, command, datetime.now(UTC)).board
        names = [member.name for member in members]
        for name in before:
            if name not in names:
                self.message_bus.unregister(name)
        for name in [LEADER, *names]:
            self.message_bus.register(name)

    async def read(self) -> Board:
        """Return the board as it stands."""
        return replace(self._board, todos=self.shared_todos.todos)

    async def add_todo(self, content: str, *, blocked_by: Sequence[str], created_by: str, key: str) -> Todo:
        """Add an item. Raises TodoRefused."""
        todo_id = new_id()
        added = AddTodo(todo_id=todo_id, content=content, blocked_by=tuple(blocked_by), created_by=created_by)
        return self.shared_todos.apply(added).board.todos[todo_id]

    async def claim_todo(self, todo_id: str, member: str) -> bool:
        """Take an item on. Returns False when it is missing, blocked, not pending, or another member's."""
        return self.shared_todos.apply(ClaimTodo(todo_id=todo_id, member=member)).is_done

    async def complete_todo(self, todo_id: str, member: str | None, result: str) -> None:
        """Say that an item is done. Raises TodoRefused."""
        self.shared_todos.apply(CompleteTodo(todo_id=todo_id, member=member, result=result))

    async def release_todos(self, member: str, reason: str, todo_id: str | None = None) -> None:
        """Give up what a member has in hand, or one item of it."""
        self.shared_todos.apply(ReleaseTodos(member=member, reason=reason, todo_id=todo_id))

    async def remove_todo(self, todo_id: str, actor: str, *, key: str) -> bool:
        """Take an item off the list. Returns False when it is not there."""
        return self.shared_todos.apply(RemoveTodo(todo_id=todo_id, actor=actor)).is_done

    async def send(self, sender: str, receiver: str, content: str, *, key: str) -> TeamMessage:
        """Put a message into the inboxes. Raises UnknownMemberError, TodoRefused, or InboxFullError."""
        command = SendMessage(message_id=new_id(), sender=sender, receiver=receiver, content=content)
        changed = change_board(self._board, command, datetime.now(UTC)).board
        message = changed.messages[-1]
        try:
            self.message_bus.deliver(message, receivers_of(changed, message))
        except KeyError as error:
            raise UnknownMemberError(str(error.args[0])) from error
        self._board = changed
        return message
