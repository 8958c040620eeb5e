"""A team that a program leads itself, in this process's memory."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset

from musterd.domain.board import LEADER, BoardMember
from musterd.domain.ids import new_id
from musterd.domain.team_board import ReleaseTodos, UnknownMemberError
from musterd.subagents.child import ChildCapability
from musterd.subagents.handle import TaskHandle
from musterd.subagents.manager import TaskManager
from musterd.subagents.slots import QueueFullError
from musterd.subagents.status import TaskStatus
from musterd.teams.member_tools import create_member_toolset
from musterd.teams.member_turn import AssignedTodo, Inbox
from musterd.teams.memory_board import MemoryTeamBoard
from musterd.teams.messages import TeamMessageBus
from musterd.teams.prompts import member_instructions
from musterd.teams.todos import SharedTodoList


@dataclass(frozen=True, slots=True)
class TeamMember:
    """A member as its author describes it. Without `model` it cannot run, unless pydantic-ai is given one otherwise."""

    name: str
    role: str
    description: str
    instructions: str
    model: Model | str | None = None
    toolsets: Sequence[AbstractToolset[Any]] = ()


class MemberStatus(StrEnum):
    """How a member stands."""

    IDLE = "idle"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class TeamMemberHandle:
    """How a member and the latest of its tasks stand. The team keeps it up to date; it is for reading."""

    name: str
    task_id: str | None = None
    task: "asyncio.Task[None] | None" = None
    status: MemberStatus = MemberStatus.IDLE
    result: str | None = None
    error: str | None = None
    todo_id: str | None = None


@dataclass(slots=True, kw_only=True)
class _Post:
    """A member at work: what it runs as, and what it has still to do."""

    agent: Agent[None, str]
    handle: TeamMemberHandle
    waiting: deque[tuple[str, str]] = field(default_factory=deque[tuple[str, str]])


class AgentTeam:
    """Members that work side by side on what they are assigned, share a todo list, and write to each other.

    A member does one thing at a time, in the order in which it was assigned; the task manager keeps the latest task of
    each. All methods are for one event loop.
    Raises ValueError when two members have the same name, or one is called `leader`.
    """

    def __init__(
        self,
        name: str,
        members: Sequence[TeamMember],
        shared_todos: SharedTodoList | None = None,
        message_bus: TeamMessageBus | None = None,
        task_manager: TaskManager | None = None,
    ) -> None:
        names = [member.name for member in members]
        for index, each in enumerate(names):
            if each == LEADER or each in names[:index]:
                raise ValueError(f"team {name!r}: no member can be called {each!r}, the name is taken")
        self.name = name
        self.members = tuple(members)
        self._board = MemoryTeamBoard(shared_todos, message_bus)
        self.shared_todos = self._board.shared_todos
        self.message_bus = self._board.message_bus
        self.task_manager = TaskManager() if task_manager is None else task_manager
        self._posts: dict[str, _Post] = {}

    async def spawn(self) -> dict[str, TeamMemberHandle]:
        """Make the members ready to be given work, and return their handles by name. Nothing runs yet."""
        if not self._posts:
            roster = [
                BoardMember(name=each.name, role=each.role, description=each.description) for each in self.members
            ]
            await self._board.open(self.name, roster)
            for member in self.members:
                agent = self._agent_of(member, roster)
                self._posts[member.name] = _Post(agent=agent, handle=TeamMemberHandle(member.name))
        return {name: post.handle for name, post in self._posts.items()}

    async def assign(self, member_name: str, task_content: str) -> str:
        """Give a member something to do, and return the id of the todo that stands for it.

        It starts at once, or when the member has done what it was given before. Raises UnknownMemberError when no such
        member is spawned, TodoRefused for a text that is no todo.
        """
        post = self._posts.get(member_name)
        if post is None:
            there = ", ".join(self._posts) or "nobody: spawn the team first"
            raise UnknownMemberError(f"there is no {member_name!r} in the team; there is {there}")
        todo_id = await self.shared_todos.add(task_content, created_by=LEADER)
        await self.shared_todos.claim(todo_id, member_name)
        post.waiting.append((todo_id, task_content))
        if post.handle.status is not MemberStatus.RUNNING:
            self._start_next(post)
        return todo_id

    async def broadcast(self, message: str) -> None:
        """Write to all members: those that run read it with their next model request, the others when they run."""
        await self._board.send(LEADER, "", message, key="")

    async def wait_all(self) -> dict[str, str]:
        """Return once no member has anything to do: what each said last, or why it failed, by name.

        Cancels nobody when it is canceled itself.
        """
        while running := [post.handle.task for post in self._posts.values() if post.handle.task is not None]:
            await asyncio.wait(running)
        return {name: post.handle.result or post.handle.error or "no result" for name, post in self._posts.items()}

    async def dissolve(self) -> None:
        """Cancel what the members do, free their todos, and take their inboxes away. The list stays."""
        posts, self._posts = list(self._posts.values()), {}
        for post in posts:
            post.waiting.clear()
        await self.task_manager.cancel_all([post.handle.task_id for post in posts if post.handle.task_id is not None])
        for post in posts:
            await self.shared_todos.release(post.handle.name, "the team was dissolved")
            self._forget(post.handle)
        await self._board.open("", ())

    def _agent_of(self, member: TeamMember, roster: Sequence[BoardMember]) -> Agent[None, str]:
        briefing = member_instructions(self.name, roster, member.name)
        tools = create_member_toolset(board=self._board, name=member.name, instructions=briefing)
        return Agent(
            member.model,
            name=member.name,
            description=member.description,
            instructions=member.instructions,
            toolsets=[tools, *member.toolsets],
            defer_model_check=True,
        )

    def _start_next(self, post: _Post) -> None:
        if not post.waiting:
            return
        handle = post.handle
        self._forget(handle)
        handle.todo_id, content = post.waiting.popleft()
        handle.task_id, handle.status, handle.result, handle.error = new_id(), MemberStatus.RUNNING, None, None
        run = self._run(post, handle.task_id, handle.todo_id, content)
        try:
            task = self.task_manager.create_task(handle.task_id, run, TaskHandle(handle.task_id, handle.name, content))
        except QueueFullError:
            self._end(post, MemberStatus.FAILED, error="too many tasks wait for their turn")
        else:
            handle.task = task
            task.add_done_callback(lambda _: self._ended(post))

    def _forget(self, handle: TeamMemberHandle) -> None:
        """Drop a member's latest task, if it has ended: else the task manager would keep each that there ever was."""
        if handle.task_id is not None:
            self.task_manager.forget(handle.task_id)

    async def _run(self, post: _Post, task_id: str, todo_id: str, content: str) -> str:
        name = post.handle.name
        capabilities = [
            ChildCapability(self.task_manager, task_id),
            AssignedTodo(todo_id, name, self._board),
            Inbox(self._board, name, kept=lambda: [waiting for waiting, _ in post.waiting]),
        ]
        result = await post.agent.run(content, capabilities=capabilities)
        return result.output

    def _ended(self, post: _Post) -> None:
        done = self.task_manager.get_handle(post.handle.task_id or "")
        if done is None or done.status is TaskStatus.CANCELLED:
            self._end(post, MemberStatus.CANCELLED, error="the member was canceled")
        else:
            self._end(post, MemberStatus(done.status), result=done.result, error=done.error)

    def _end(self, post: _Post, status: MemberStatus, *, result: str | None = None, error: str | None = None) -> None:
        handle = post.handle
        handle.status, handle.result, handle.error, handle.task = status, result, error, None
        # A run that was canceled before its first step freed nothing.
        self.shared_todos.apply(ReleaseTodos(member=handle.name, reason=error or "", todo_id=handle.todo_id))
        self._start_next(post)
