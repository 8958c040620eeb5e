"""Translates the values of teams from messages of the contract."""

from musterd_client import team_model
from musterd_client.codec import EnumDecoder, task_from, time_from
from musterd_client.v1 import board_pb2, component_pb2, event_pb2

team_mode_from = EnumDecoder(component_pb2.TeamMode, team_model.TeamMode, "TEAM_MODE_")
todo_status_from = EnumDecoder(board_pb2.TodoStatus, team_model.TodoStatus, "TODO_STATUS_")
todo_change_from = EnumDecoder(event_pb2.TodoChange, team_model.TodoChange, "TODO_CHANGE_")


def team_from(message: component_pb2.Team) -> team_model.Team:
    """Returns the team with its members."""
    return team_model.Team(
        team_id=message.team_id,
        name=message.name,
        description=message.description,
        is_factory=message.is_factory,
        input_schema_json=message.input_schema_json,
        mode=team_mode_from(message.mode),
        members=tuple(
            team_model.TeamMember(name=member.name, role=member.role, description=member.description)
            for member in message.members
        ),
    )


def todo_from(message: board_pb2.Todo) -> team_model.Todo:
    """Returns the item."""
    return team_model.Todo(
        todo_id=message.todo_id,
        content=message.content,
        status=todo_status_from(message.status),
        assigned_to=message.assigned_to,
        blocked_by=tuple(message.blocked_by),
        created_by=message.created_by,
        attempts=message.attempts,
        result=message.result,
    )


def team_message_from(message: board_pb2.TeamMessage) -> team_model.TeamMessage:
    """Returns the message."""
    return team_model.TeamMessage(
        message_id=message.message_id,
        sender=message.sender,
        receiver=message.receiver,
        content=message.content,
        create_time=time_from(message.create_time) if message.HasField("create_time") else None,
    )


def board_from(message: board_pb2.TeamBoard) -> team_model.TeamBoard:
    """Returns the board."""
    return team_model.TeamBoard(
        task_id=message.task_id,
        team=message.team,
        members=tuple(
            team_model.BoardMember(
                name=member.name,
                role=member.role,
                description=member.description,
                tasks=tuple(task_from(task) for task in member.tasks),
            )
            for member in message.members
        ),
        todos=tuple(todo_from(todo) for todo in message.todos),
        messages=tuple(team_message_from(each) for each in message.messages),
    )
