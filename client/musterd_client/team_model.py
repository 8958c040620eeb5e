"""The values of teams: what can be run, and what the members of a running team share, as frozen dataclasses."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from musterd_client.model import Task


class TeamMode(StrEnum):
    """How the members of a team work together."""

    UNKNOWN = "UNKNOWN"
    COORDINATE = "COORDINATE"
    ROUTE = "ROUTE"
    BROADCAST = "BROADCAST"
    TASKS = "TASKS"


class TodoStatus(StrEnum):
    """How far an item of a todo list is. Whether a pending one is blocked follows from what it is blocked by."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class TodoChange(StrEnum):
    """What happened to an item of a todo list."""

    UNKNOWN = "UNKNOWN"
    ADDED = "ADDED"
    CLAIMED = "CLAIMED"
    COMPLETED = "COMPLETED"
    RELEASED = "RELEASED"
    FAILED = "FAILED"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMember:
    """A member of a team. `name` is how the leader and the other members call it."""

    name: str
    role: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team that can be run. A factory's mode and members are not known in advance: UNKNOWN, and none."""

    team_id: str
    name: str
    description: str = ""
    is_factory: bool = False
    input_schema_json: str = ""
    mode: TeamMode = TeamMode.UNKNOWN
    members: tuple[TeamMember, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """An item of a team's todo list.

    `blocked_by` are the ids of items that must be completed first. `attempts` counts how often it was taken on.
    `result` is what completing it brought; for a failed one, why.
    """

    todo_id: str
    content: str
    status: TodoStatus
    assigned_to: str = ""
    blocked_by: tuple[str, ...] = ()
    created_by: str = ""
    attempts: int = 0
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMessage:
    """A message within a team. An empty `receiver` means all but the sender."""

    message_id: str
    sender: str
    receiver: str
    content: str
    create_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardMember:
    """A member of a running team, with its turns so far, oldest first."""

    name: str
    role: str = ""
    description: str = ""
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamBoard:
    """What the members of a team share: who works on what, the todo list, and the messages, each in its order."""

    task_id: str
    team: str
    members: tuple[BoardMember, ...] = ()
    todos: tuple[Todo, ...] = ()
    messages: tuple[TeamMessage, ...] = ()
