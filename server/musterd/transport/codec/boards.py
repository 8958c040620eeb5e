"""Encodes what the members of a team share."""

from collections.abc import Sequence
from typing import cast

from musterd.domain.board import BoardMember, TeamMessage, Todo, TodoStatus
from musterd.domain.task import Task
from musterd.domain.team_board import Board
from musterd.transport.codec.tasks import encode_task, timestamp
from musterd_client.v1 import board_pb2

TODO_STATUS_TO_WIRE = {
    each: cast("board_pb2.TodoStatus", board_pb2.TodoStatus.Value(f"TODO_STATUS_{each.name}")) for each in TodoStatus
}


def encode_todo(todo: Todo) -> board_pb2.Todo:
    """Encode an item of a todo list."""
    return board_pb2.Todo(
        todo_id=todo.id,
        content=todo.content,
        status=TODO_STATUS_TO_WIRE[todo.status],
        assigned_to=todo.assigned_to or "",
        blocked_by=todo.blocked_by,
        created_by=todo.created_by,
        attempts=todo.attempts,
        result=todo.result,
    )


def encode_message(message: TeamMessage) -> board_pb2.TeamMessage:
    """Encode a message within a team."""
    return board_pb2.TeamMessage(
        message_id=message.id,
        sender=message.sender,
        receiver=message.receiver,
        content=message.content,
        create_time=timestamp(message.timestamp),
    )


def encode_board(task_id: str, board: Board, turns: Sequence[Task]) -> board_pb2.TeamBoard:
    """Encode a team's board, with the turns that its members took."""
    return board_pb2.TeamBoard(
        task_id=task_id,
        team=board.team,
        members=[_encode_member(member, turns) for member in board.members],
        todos=[encode_todo(todo) for todo in board.todos.values()],
        messages=[encode_message(message) for message in board.messages],
    )


def _encode_member(member: BoardMember, turns: Sequence[Task]) -> board_pb2.BoardMember:
    return board_pb2.BoardMember(
        name=member.name,
        role=member.role,
        description=member.description,
        tasks=[encode_task(task) for task in turns if task.component.id == member.name],
    )
