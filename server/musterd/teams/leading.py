"""Leading a team that was put together while a run went on: on a board and a host, whichever these are."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import Model

from musterd.domain.board import LEADER, BoardMember, message_text
from musterd.domain.team_board import Board
from musterd.subagents.host import (
    Delegation,
    DelegationRefused,
    PreparedSubagent,
    SubagentHost,
    TaskView,
    current_host,
)
from musterd.subagents.memory import MemoryHost
from musterd.subagents.registry import AgentDefinition
from musterd.subagents.status import TaskStatus
from musterd.subagents.types import SubAgentDepsProtocol
from musterd.teams.board import TeamBoard, own_board
from musterd.teams.member_tools import REFUSALS, create_member_toolset
from musterd.teams.member_turn import AssignedTodo, Inbox, finish_todo
from musterd.teams.memory_board import MemoryTeamBoard
from musterd.teams.recruits import Recruit, Recruiter

MEMBER_NESTING = 1
"""To how many levels below it a member may have others work for it."""

_TASK_ID_LINE = "Task ID:"


class StartTask(Protocol):
    """Starts a subagent in the background, and returns a text with a line `Task ID: …`."""

    def __call__(
        self, ctx: RunContext[Any], *, description: str, subagent_type: str, mode: Literal["async"]
    ) -> Awaitable[str]:
        """Start it. Called once for each assign_task; what it raises is told to the model."""
        ...


class StartFailed(Exception):  # noqa: N818 - the name says what happened; its text is for the model
    """A member's task was not started, and nothing of it is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedTeam:
    """The team of a run, as its board says."""

    board: TeamBoard
    state: Board
    recruits: dict[str, Recruit]

    @property
    def name(self) -> str:
        """The team's name."""
        return self.state.team


class Leading:
    """Leads the team of each run that asks. What it knows of a team is on the board, so that a restart loses nothing.

    Under a server a run's board is `own_board` and its host `current_host`. Else boards are kept here by run, and
    `own_host` runs the members.
    """

    def __init__(
        self, *, toolset_id: str, recruiter: Recruiter, own_host: MemoryHost, task_fn: StartTask | None
    ) -> None:
        self._toolset_id = toolset_id
        self._recruiter = recruiter
        self._own_host = own_host
        self._task_fn = task_fn
        self._boards: dict[str, MemoryTeamBoard] = {}
        self._locks: WeakKeyDictionary[TeamBoard, asyncio.Lock] = WeakKeyDictionary()

    @property
    def host(self) -> SubagentHost:
        """Where the members of the run in this context run."""
        return current_host.get() or self._own_host

    def changing(self, ctx: RunContext[Any]) -> asyncio.Lock:
        """Return what to hold while a run's team is changed: the tools of one response run side by side."""
        return self._locks.setdefault(self._board_of(ctx), asyncio.Lock())

    async def find(self, ctx: RunContext[Any]) -> LedTeam | None:
        """Return the team of the run that calls; None when it has none."""
        board = self._board_of(ctx)
        state = await board.read()
        if not state.team:
            return None
        recruits = {member.name: Recruit.of(member) for member in state.members if member.leader_json}
        return LedTeam(board=board, state=state, recruits=recruits)

    async def spawn(
        self, ctx: RunContext[Any], team: LedTeam | None, recruits: Sequence[Recruit]
    ) -> Sequence[AgentDefinition]:
        """Begin a team, with nothing on its list, and return the definitions of those that it put into the registry.

        `team` is what this very call made before it was cut off. Whatever a factory or the registry raises passes, and
        leaves no team.
        """
        self._recruiter.recover(ctx)
        if team is None:
            await self._begin(self._board_of(ctx), recruits)
        else:
            recruits = list(team.recruits.values())
            self._recruiter.enlist_again(recruits)
        self._recruiter.note(ctx)
        return self._recruiter.definitions_of(recruits)

    async def _begin(self, board: TeamBoard, recruits: Sequence[Recruit]) -> None:
        self._recruiter.enlist(recruits)
        try:
            for todo_id in (await board.read()).todos:
                await board.remove_todo(todo_id, LEADER, key="")
            await board.open(recruits[0].team, [recruit.as_member() for recruit in recruits])
        except BaseException:
            self._recruiter.dismiss(recruits)
            raise

    async def view_of(self, ctx: RunContext[Any], recruit: Recruit) -> TaskView | None:
        """Return how a member's latest task stands; None before its first."""
        return await self.host.find(ctx, recruit.task_id) if recruit.task_id else None

    async def settle(self, team: LedTeam, recruit: Recruit, view: TaskView | None) -> None:
        """Let a member's todo follow its task that has ended, where the end of the task did not see to it."""
        if view is None or not view.status.is_finished:
            return
        if view.status is TaskStatus.COMPLETED:
            await finish_todo(team.board, recruit.todo_id, recruit.spec.name, view.result or "")
        else:
            reason = view.error or "the member was canceled"
            await team.board.release_todos(recruit.spec.name, reason, recruit.todo_id)

    async def assign(self, ctx: RunContext[Any], team: LedTeam, recruit: Recruit, description: str) -> Recruit:
        """Give a member a todo and start it. Raises StartFailed; the todo is gone again then."""
        name, key = recruit.spec.name, ctx.tool_call_id or ""
        try:
            todo = await team.board.add_todo(description, blocked_by=(), created_by=LEADER, key=key)
        except REFUSALS as refusal:
            raise StartFailed(str(refusal)) from refusal
        await team.board.claim_todo(todo.id, name)
        given = recruit.model_copy(update={"assign_call": call_of(ctx), "todo_id": todo.id})
        try:
            task_id = await self._start(ctx, given, description)
        except Exception as error:
            await team.board.remove_todo(todo.id, LEADER, key="")
            if isinstance(error, DelegationRefused | StartFailed) or self._task_fn is not None:
                raise StartFailed(str(error)) from error
            raise
        given = given.model_copy(update={"task_id": task_id})
        await self._note(team.board, given)
        return given

    async def tell(self, ctx: RunContext[Any], team: LedTeam, recruit: Recruit, text: str) -> None:
        """Write to a member. Raises as `TeamBoard.send`."""
        message = await team.board.send(LEADER, recruit.spec.name, text, key=ctx.tool_call_id or "")
        if self._task_fn is not None and recruit.task_id:
            # Its run takes no part in the board.
            await self.host.send(ctx, recruit.task_id, message_text(message))

    async def dissolve(self, ctx: RunContext[Any], team: LedTeam) -> Sequence[str]:
        """Cancel what the members do, and free their todos. Returns the names that it took out of the registry."""
        self._recruiter.recover(ctx)
        registered = [name for name, recruit in team.recruits.items() if recruit.is_registered]
        for recruit in team.recruits.values():
            if recruit.task_id:
                await self.host.cancel(ctx, recruit.task_id, hard=True)
            await team.board.release_todos(recruit.spec.name, "the team was dissolved")
        self._recruiter.dismiss(list(team.recruits.values()))
        await team.board.open("", ())
        self._recruiter.note(ctx)
        return registered

    async def leave(self, ctx: RunContext[Any]) -> None:
        """Forget the run, and end its team. For a run without a server, when it ends."""
        if ctx.run_id not in self._boards:
            return
        try:
            if (team := await self.find(ctx)) is not None:
                await self.dissolve(ctx, team)
        finally:
            await self._own_host.end_run(ctx.run_id)
            del self._boards[ctx.run_id]

    def prepare(
        self,
        recruit: Recruit,
        description: str,
        *,
        deps: Any,
        model: Model | str | None,
        board: MemoryTeamBoard | None = None,
    ) -> PreparedSubagent:
        """Prepare a member for a task. Without `board` it takes part in that of the context in which it runs."""
        name = recruit.spec.name
        capabilities: list[AbstractCapability[Any]] = [AssignedTodo(recruit.todo_id, name, board)]
        if board is not None:
            capabilities.append(Inbox(board, name))
        agent = self._recruiter.agent_of(recruit)
        return PreparedSubagent(
            agent=agent,
            deps=deps.clone_for_subagent(MEMBER_NESTING) if isinstance(deps, SubAgentDepsProtocol) else deps,
            prompt=description,
            toolsets=(
                create_member_toolset(board=board, name=None if board is None else name, instructions=recruit.briefing),
            ),
            capabilities=tuple(capabilities),
            model=model if agent.model is None else None,
        )

    def _board_of(self, ctx: RunContext[Any]) -> TeamBoard:
        stored = own_board.get()
        return stored if stored is not None else self._boards.setdefault(ctx.run_id or "", MemoryTeamBoard())

    async def _start(self, ctx: RunContext[Any], recruit: Recruit, description: str) -> str:
        name = recruit.spec.name
        if self._task_fn is not None:
            told = await self._task_fn(ctx, description=description, subagent_type=name, mode="async")
            task_id = _task_id_in(told)
            self._own_host.adopt(ctx, task_id)
            return task_id
        host, board = self.host, self._board_of(ctx)
        nesting_left = host.nesting_left()
        if nesting_left is not None and nesting_left < 1:
            raise StartFailed("this run may not have others work for it")
        in_memory = board if isinstance(board, MemoryTeamBoard) else None
        return await host.start(
            ctx,
            Delegation(
                subagent=name,
                description=description,
                prepare=lambda: self.prepare(
                    recruit, description, deps=ctx.deps, model=host.model_of(ctx), board=in_memory
                ),
                toolset_id=self._toolset_id,
                definition_json=recruit.model_dump_json(),
                in_background=True,
                nesting_left=MEMBER_NESTING if nesting_left is None else min(MEMBER_NESTING, nesting_left - 1),
                is_member=True,
            ),
        )

    async def _note(self, board: TeamBoard, recruit: Recruit) -> None:
        state = await board.read()
        noted = recruit.as_member()
        members: list[BoardMember] = [noted if member.name == noted.name else member for member in state.members]
        await board.open(state.team, members)


def call_of(ctx: RunContext[Any]) -> str:
    """Return what tells a run's tool calls apart: some models give the calls of each response the same ids again."""
    return f"{ctx.run_step}/{ctx.tool_call_id}"


def _task_id_in(told: str) -> str:
    for line in told.splitlines():
        if line.strip().startswith(_TASK_ID_LINE) and (task_id := line.strip().removeprefix(_TASK_ID_LINE).strip()):
            return task_id
    raise StartFailed(f"the subagent engine did not start a background task.\n{told}")
