"""The board of a team as its members reach it: stored with the team's task."""

from collections.abc import Sequence
from hashlib import sha256

from musterd.domain.board import BoardMember, TeamMessage, Todo, TodoRefused
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ids import derived_id
from musterd.domain.ports import BoardRecord, RequestKey
from musterd.domain.team_board import (
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
)
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.delegation.children import Children


class EngineBoard:
    """One run's way to a board. What it adds gets an id that follows from its step and the tool call's key."""

    def __init__(self, team_task_id: str, scope: RunScope, children: Children) -> None:
        self._team_task_id = team_task_id
        self._scope = scope
        self._children = children

    async def open(self, team: str, members: Sequence[BoardMember]) -> None:
        """Begin the board, or change its team and members."""
        await self._change(OpenBoard(team=team, members=tuple(members)))

    async def read(self) -> Board:
        """Return the board; an empty one before it was opened."""
        try:
            return await self._children.patiently(lambda: self._children.store.get_board(None, self._team_task_id))
        except MusterdError as error:
            if error.reason is Reason.BOARD_NOT_FOUND:
                return Board(team="", members=())
            raise

    async def add_todo(self, content: str, *, blocked_by: Sequence[str], created_by: str, key: str) -> Todo:
        """Add an item. Raises TodoRefused."""
        todo_id = self._id_of(key)
        command = AddTodo(todo_id=todo_id, content=content, blocked_by=tuple(blocked_by), created_by=created_by)
        return (await self._change(command)).board.todos[todo_id]

    async def claim_todo(self, todo_id: str, member: str) -> bool:
        """Take an item on. Returns False when that cannot be."""
        return (await self._change(ClaimTodo(todo_id=todo_id, member=member))).is_done

    async def complete_todo(self, todo_id: str, member: str | None, result: str) -> None:
        """Say that an item is done. Raises TodoRefused."""
        await self._change(CompleteTodo(todo_id=todo_id, member=member, result=result))

    async def release_todos(self, member: str, reason: str, todo_id: str | None = None) -> None:
        """Give up what a member has in hand."""
        await self._change(ReleaseTodos(member=member, reason=reason, todo_id=todo_id))

    async def remove_todo(self, todo_id: str, actor: str, *, key: str) -> bool:
        """Take an item off the list. Returns False when it is not there."""
        request = self._request_of("remove_todo", key, todo_id) if key else None
        return (await self._change(RemoveTodo(todo_id=todo_id, actor=actor), request)).is_done

    async def send(self, sender: str, receiver: str, content: str, *, key: str) -> TeamMessage:
        """Send a message, which goes into the next request of each receiver that runs."""
        message_id = self._id_of(key)
        command = SendMessage(message_id=message_id, sender=sender, receiver=receiver, content=content)
        record = await self._change(command)
        return next(message for message in reversed(record.board.messages) if message.id == message_id)

    def _id_of(self, key: str) -> str:
        return derived_id(self._scope.task.task_id, self._scope.recorder.step, key)

    def _request_of(self, method: str, key: str, content: str) -> RequestKey:
        task = self._scope.task
        return RequestKey(
            tenant_id=task.tenant_id,
            user_id=task.user_id,
            method=method,
            request_id=self._id_of(key),
            body_sha256=sha256(content.encode()).digest(),
        )

    async def _change(self, command: BoardCommand, request: RequestKey | None = None) -> BoardRecord:
        try:
            record = await self._children.patiently(
                lambda: self._children.store.change_board(self._team_task_id, command, request=request)
            )
        except MusterdError as error:
            if error.reason is Reason.MEMBER_NOT_FOUND:
                raise UnknownMemberError(error.message) from error
            if error.reason in (Reason.TODO_REFUSED, Reason.TEAM_ENDED):
                raise TodoRefused(error.message) from error
            raise
        for steer in record.delivered:
            self._children.launcher.steer(steer)
        return record
