"""The tools with which a run takes part in its team: the shared todo list, and messages."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic_ai import FunctionToolset, RunContext

from musterd.domain.board import LEADER, TodoRefused, TodoStatus, open_blockers
from musterd.domain.team_board import Board, UnknownMemberError
from musterd.subagents.descriptions import REPEATABLE
from musterd.teams.board import TeamBoard, current_board, current_member
from musterd.teams.messages import InboxFullError

MEMBER_TOOLSET_ID = "musterd-team"

REFUSALS = (TodoRefused, UnknownMemberError, InboxFullError)
"""What a board raises with a text that is meant for the model."""

NO_TEAM = "Error: No team is active."

NO_TEXTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TodoToolNames:
    """What the tools of a todo list are called."""

    list_todos: str
    add_todo: str
    claim_todo: str
    complete_todo: str


MEMBER_TODO_TOOLS = TodoToolNames(
    list_todos="list_team_todos",
    add_todo="add_team_todo",
    claim_todo="claim_team_todo",
    complete_todo="complete_team_todo",
)
"""Names that an agent's own tools are not likely to have: two tools of one name fail its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A run's place at a board: under which name it takes part. The leader may complete what belongs to others."""

    board: TeamBoard
    name: str


FindSeat = Callable[[RunContext[Any]], Awaitable[Seat | None]]
"""Finds the seat of the run that calls a tool; None when it is in no team."""


def create_member_toolset(
    *, board: TeamBoard | None = None, name: str | None = None, instructions: str | None = None
) -> FunctionToolset[Any]:
    """Return the tools that every member of a team has, and its leader too.

    They work on `board` under `name`. Without these they work on `current_board` and `current_member`, which a server
    sets for each run of a team. `instructions` go to the model beside the agent's own.
    """

    async def find_seat(_: RunContext[Any]) -> Seat | None:
        found = board if board is not None else current_board.get()
        return None if found is None else Seat(board=found, name=name if name is not None else current_member.get())

    toolset = FunctionToolset[Any](id=MEMBER_TOOLSET_ID, metadata=REPEATABLE, instructions=instructions)
    TodoTools(find_seat).add_to(toolset, MEMBER_TODO_TOOLS)
    MessageTools(find_seat).add_to(toolset)
    return toolset


@cache
def member_toolset() -> FunctionToolset[Any]:
    """Return the toolset that works on the board and under the name of the run in its context.

    There is one for all, because to make a tool costs as much as half a run.
    """
    return create_member_toolset()


class TodoTools:
    """The tools of a team's todo list, for whoever `find_seat` says the caller is.

    `no_team` is what a caller reads who is in no team.
    """

    def __init__(self, find_seat: FindSeat, no_team: str = NO_TEAM) -> None:
        self._find_seat = find_seat
        self._no_team = no_team

    def add_to(self, toolset: FunctionToolset[Any], names: TodoToolNames, texts: Mapping[str, str] = NO_TEXTS) -> None:
        """Give the tools to a toolset. `texts` are descriptions by name that replace those here."""
        toolset.add_function(self.list_todos, name=names.list_todos, description=texts.get(names.list_todos))
        toolset.add_function(self.add_todo, name=names.add_todo, description=texts.get(names.add_todo))
        toolset.add_function(self.claim_todo, name=names.claim_todo, description=texts.get(names.claim_todo))
        toolset.add_function(self.complete_todo, name=names.complete_todo, description=texts.get(names.complete_todo))

    async def list_todos(self, ctx: RunContext[Any]) -> str:
        """List the team's todos with their ids, who has them, and what they wait for."""
        seat = await self._find_seat(ctx)
        return self._no_team if seat is None else describe_todos(await seat.board.read())

    async def add_todo(self, ctx: RunContext[Any], content: str, blocked_by: Sequence[str] = ()) -> str:
        """Put a piece of work on the team's todo list.

        Args:
            ctx: The run that calls.
            content: What is to be done, so that any member can do it without asking.
            blocked_by: Ids of the todos that must be completed first.
        """
        seat = await self._find_seat(ctx)
        if seat is None:
            return self._no_team
        key = ctx.tool_call_id or ""
        try:
            todo = await seat.board.add_todo(content, blocked_by=blocked_by, created_by=seat.name, key=key)
        except REFUSALS as refusal:
            return f"Error: {refusal}"
        return f"Todo added (ID: {todo.id})"

    async def claim_todo(self, ctx: RunContext[Any], todo_id: str) -> str:
        """Take a todo on before you work on it, so that nobody else does."""
        seat = await self._find_seat(ctx)
        if seat is None:
            return self._no_team
        if await seat.board.claim_todo(todo_id, seat.name):
            return f"Todo '{todo_id}' is yours"
        return f"Error: {why_not_claimed(await seat.board.read(), todo_id)}"

    async def complete_todo(self, ctx: RunContext[Any], todo_id: str, result: str = "") -> str:
        """Say that a todo is done; what waits for it can be taken on then.

        Args:
            ctx: The run that calls.
            todo_id: Which todo.
            result: What came of it, for those who go on from there.
        """
        seat = await self._find_seat(ctx)
        if seat is None:
            return self._no_team
        try:
            await seat.board.complete_todo(todo_id, None if seat.name == LEADER else seat.name, result)
        except REFUSALS as refusal:
            return f"Error: {refusal}"
        return f"Todo '{todo_id}' is completed"


class MessageTools:
    """The tools to talk to the others of a team, for whoever `find_seat` says the caller is."""

    def __init__(self, find_seat: FindSeat) -> None:
        self._find_seat = find_seat

    def add_to(self, toolset: FunctionToolset[Any]) -> None:
        """Give the tools to a toolset."""
        toolset.add_function(self.send_team_message)
        toolset.add_function(self.broadcast_team_message)

    async def send_team_message(self, ctx: RunContext[Any], receiver: str, content: str) -> str:
        """Send a message to one in the team, who reads it before the next step.

        Args:
            ctx: The run that calls.
            receiver: A member's name, or `leader`.
            content: What you want to say.
        """
        if not receiver:
            return "Error: Name a receiver. To reach all, use broadcast_team_message."
        return await self._post(ctx, receiver, content) or f"Message sent to '{receiver}'"

    async def broadcast_team_message(self, ctx: RunContext[Any], content: str) -> str:
        """Send a message to everybody else in the team, the leader too."""
        return await self._post(ctx, "", content) or "Message sent to the whole team"

    async def _post(self, ctx: RunContext[Any], receiver: str, content: str) -> str | None:
        """Send, and return None; or what the model is told when that is not possible."""
        seat = await self._find_seat(ctx)
        if seat is None:
            return NO_TEAM
        try:
            await seat.board.send(seat.name, receiver, content, key=ctx.tool_call_id or "")
        except REFUSALS as refusal:
            return f"Error: {refusal}"
        return None


def describe_todos(board: Board) -> str:
    """Return the todo list for a model: one line each, with what open ones wait for and what finished ones brought."""
    if not board.todos:
        return "The todo list is empty."
    lines: list[str] = []
    for todo in board.todos.values():
        line = f"- {todo.id} [{todo.status.value}] {todo.content}"
        if todo.assigned_to is not None:
            line += f" (@{todo.assigned_to})"
        if todo.status is TodoStatus.PENDING and (blockers := open_blockers(board.todos, todo)):
            line += f" (waits for {', '.join(blockers)})"
        if todo.result:
            line += f"\n  Result: {todo.result}"
        lines.append(line)
    return "\n".join(lines)


def why_not_claimed(board: Board, todo_id: str) -> str:
    """Return why an item could not be taken on, as the board stands now."""
    todo = board.todos.get(todo_id)
    if todo is None:
        return f"there is no todo '{todo_id}'"
    if todo.status is not TodoStatus.PENDING:
        owner = f" by '{todo.assigned_to}'" if todo.assigned_to is not None else ""
        return f"todo '{todo_id}' is {todo.status.value}{owner} already"
    if blockers := open_blockers(board.todos, todo):
        return f"todo '{todo_id}' still waits for {', '.join(blockers)}"
    return f"todo '{todo_id}' was with somebody else a moment ago; try again"
