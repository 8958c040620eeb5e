"""A team's todo list and messages, with the rules of the list as pure functions.

The same rules hold for a list in memory and for one in a store. Each takes the list as it is and returns what becomes
of it; whoever keeps the list must make that one step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

MAX_TODOS = 1_000
MAX_TODO_CHARS = 20_000
MAX_MESSAGE_CHARS = 20_000
MAX_TODO_ATTEMPTS = 3
"""How often members may take an item on; the item fails when the last of them gives it up."""

LEADER = "leader"
"""The name of a team's leader as a sender or receiver of messages."""


class TodoStatus(StrEnum):
    """How far an item is. Whether a pending one is blocked follows from what it is blocked by."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """One item of a todo list.

    `blocked_by` are the ids of items that must be completed first. `attempts` counts how often it was claimed.
    `result` is what completing it brought; for a failed one, why.
    """

    id: str
    content: str
    status: TodoStatus = TodoStatus.PENDING
    assigned_to: str | None = None
    blocked_by: tuple[str, ...] = ()
    created_by: str = ""
    attempts: int = 0
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMessage:
    """A message within a team. An empty `receiver` means all but the sender. `timestamp` is in UTC."""

    id: str
    sender: str
    receiver: str
    content: str
    timestamp: datetime


def message_text(message: TeamMessage) -> str:
    """Return a message as the model of its receiver reads it."""
    return f"[Message from {message.sender}] {message.content}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardMember:
    """A member as the board shows it. `leader_json` is what its leader must know to run it, and is shown to nobody."""

    name: str
    role: str = ""
    description: str = ""
    leader_json: str = ""


class TodoRefused(ValueError):  # noqa: N818 - the name says what happened to the change, as KeyError does
    """A change of a todo list that its rules do not allow. The text says why, for a model or a person."""


Todos = Mapping[str, Todo]
"""A todo list: items by id, in the order in which they were added."""


def is_available(todos: Todos, todo: Todo) -> bool:
    """Whether an item may be claimed now: pending, and all that it is blocked by is completed."""
    return todo.status is TodoStatus.PENDING and not open_blockers(todos, todo)


def open_blockers(todos: Todos, todo: Todo) -> Sequence[str]:
    """Return the ids of the items that still block an item. One that was removed blocks nothing."""
    return [each for each in todo.blocked_by if each in todos and todos[each].status is not TodoStatus.COMPLETED]


def with_added(todos: Todos, todo: Todo) -> Mapping[str, Todo]:
    """Return the list with a new item at its end; adding the same id again changes nothing.

    Raises TodoRefused when the text is empty or too long, the list is full, or it waits for an unknown item or itself.
    """
    if todo.id in todos:
        return todos
    if not todo.content.strip():
        raise TodoRefused("a todo needs a text")
    if len(todo.content) > MAX_TODO_CHARS:
        raise TodoRefused(f"a todo takes at most {MAX_TODO_CHARS} characters, not {len(todo.content)}")
    if len(todos) >= MAX_TODOS:
        raise TodoRefused(f"a todo list takes at most {MAX_TODOS} items")
    check_dependencies(todos, todo.id, todo.blocked_by)
    return {**todos, todo.id: todo}


def check_dependencies(todos: Todos, todo_id: str, blocked_by: Sequence[str]) -> None:
    """Raise TodoRefused for a dependency that is not in the list, or through which an item would wait for itself."""
    # Once for all of them: for each alone it would take a long list's writer for seconds.
    is_circular = todo_id in _all_blockers(todos, blocked_by)
    for each in blocked_by:
        if each == todo_id or (is_circular and todo_id in _all_blockers(todos, [each])):
            raise TodoRefused(f"todo {todo_id!r} would wait for itself through {each!r}")
        if each not in todos:
            raise TodoRefused(f"there is no todo {each!r} to wait for")


def _all_blockers(todos: Todos, starts: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        each = waiting.pop()
        if each in seen or each not in todos:
            continue
        seen.add(each)
        waiting += todos[each].blocked_by
    return seen


def with_dependencies(todos: Todos, todo_id: str, blocked_by: Sequence[str]) -> Mapping[str, Todo]:
    """Return the list with an item waiting for others. Raises TodoRefused for unknown ids, cycles, a claimed item."""
    todo = require(todos, todo_id)
    if todo.status is not TodoStatus.PENDING:
        raise TodoRefused(f"todo {todo_id!r} is {todo.status.value}: only a pending one can be made to wait")
    check_dependencies(todos, todo_id, blocked_by)
    return {**todos, todo_id: replace(todo, blocked_by=tuple(blocked_by))}


def with_claimed(todos: Todos, todo_id: str, member: str) -> Mapping[str, Todo] | None:
    """Return the list with an item claimed; None when it is missing, not pending, blocked, or another member's.

    Claiming an item that is one's own already changes nothing.
    """
    todo = todos.get(todo_id)
    if todo is None:
        return None
    if todo.status is TodoStatus.IN_PROGRESS and todo.assigned_to == member:
        return todos
    if not is_available(todos, todo):
        return None
    claimed = replace(todo, status=TodoStatus.IN_PROGRESS, assigned_to=member, attempts=todo.attempts + 1)
    return {**todos, todo_id: claimed}


def with_completed(todos: Todos, todo_id: str, member: str | None, result: str = "") -> Mapping[str, Todo]:
    """Return the list with an item completed, which unblocks what waits for it; `member` None completes anyone's.

    Raises TodoRefused when there is no such item, when it is blocked, or when another member has it.
    """
    todo = require(todos, todo_id)
    if todo.status is TodoStatus.COMPLETED:
        if member is None or todo.assigned_to in (None, member):
            return todos
        raise TodoRefused(f"todo {todo_id!r} was completed by {todo.assigned_to!r} already")
    if todo.assigned_to is not None and member is not None and todo.assigned_to != member:
        raise TodoRefused(f"todo {todo_id!r} belongs to {todo.assigned_to!r}")
    if blockers := open_blockers(todos, todo):
        raise TodoRefused(f"todo {todo_id!r} still waits for {', '.join(blockers)}")
    done = replace(todo, status=TodoStatus.COMPLETED, assigned_to=todo.assigned_to or member, result=result)
    return {**todos, todo_id: done}


def with_released(todos: Todos, todo_id: str, member: str, reason: str = "") -> Mapping[str, Todo]:
    """Return the list with a claimed item free again, or failed when it was taken on too often; else unchanged."""
    todo = todos.get(todo_id)
    if todo is None or todo.status is not TodoStatus.IN_PROGRESS or todo.assigned_to != member:
        return todos
    if todo.attempts >= MAX_TODO_ATTEMPTS:
        return {**todos, todo_id: replace(todo, status=TodoStatus.FAILED, result=reason)}
    return {**todos, todo_id: replace(todo, status=TodoStatus.PENDING, assigned_to=None)}


def without(todos: Todos, todo_id: str) -> Mapping[str, Todo]:
    """Return the list without an item. What waited for it waits for it no longer."""
    return {
        each.id: replace(each, blocked_by=tuple(one for one in each.blocked_by if one != todo_id))
        for each in todos.values()
        if each.id != todo_id
    }


def require(todos: Todos, todo_id: str) -> Todo:
    """Return an item. Raises TodoRefused when there is none with this id."""
    if todo_id not in todos:
        raise TodoRefused(f"there is no todo {todo_id!r}")
    return todos[todo_id]
