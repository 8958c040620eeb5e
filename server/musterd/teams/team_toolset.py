"""Tools with which an agent puts together a team, and leads it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import FunctionToolset, RunContext
from pydantic_ai.messages import ToolReturn
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset, WrapperToolset

from musterd.domain.board import LEADER, message_text
from musterd.subagents.descriptions import REPEATABLE
from musterd.subagents.host import PreparedSubagent, TaskView, current_host
from musterd.subagents.manager import TaskManager
from musterd.subagents.memory import MemoryHost
from musterd.subagents.registry import DynamicAgentRegistry, created, removed
from musterd.subagents.status import TaskStatus
from musterd.subagents.types import AgentFactory
from musterd.teams.leading import Leading, LedTeam, StartFailed, StartTask, call_of
from musterd.teams.member_tools import REFUSALS, Seat, TodoToolNames, TodoTools, describe_todos
from musterd.teams.memory_board import MemoryTeamBoard
from musterd.teams.recruits import Recruit, Recruiter, TeamMemberSpec, recruits_for

TEAM_TOOLSET_ID = "deep-team"

NO_TEAM = "Error: No team is active. Use spawn_team first."

LEADER_TODO_TOOLS = TodoToolNames(
    list_todos="list_todos", add_todo="add_todo", claim_todo="claim_todo", complete_todo="complete_todo"
)


class TeamToolset(FunctionToolset[Any]):
    """The tools of a leader who makes the team itself: spawn it, give it work, talk to it, dissolve it.

    Each run has a team of its own; what the members do ends with the run.

    Args:
        id: The toolset's id.
        descriptions: Texts for the model by tool name that replace those here. Raises ValueError for another name.
        registry: Where members are put while their team lasts, so that other tools find them by name. A member whose
            name is there already is that agent.
        agent_factory: Builds the agent of a member from its config. Called on the event loop when the team is spawned,
            and, without a registry, for each of its tasks. What it raises is told to the model; there is no team then.
        task_fn: Starts members instead of this toolset, like the tool `task` of a subagent toolset with the same
            `registry`. They have the tools that it gives them, and no others.
        task_manager: Where the tasks of members are kept when no server runs them: with `task_fn`, the one in which it
            starts them.
    """

    def __init__(
        self,
        *,
        id: str = TEAM_TOOLSET_ID,  # noqa: A002 - toolsets are given their id under this name
        descriptions: Mapping[str, str] | None = None,
        registry: DynamicAgentRegistry | None = None,
        agent_factory: AgentFactory | None = None,
        task_fn: StartTask | None = None,
        task_manager: TaskManager | None = None,
    ) -> None:
        super().__init__(id=id, metadata=REPEATABLE)
        self._has_registry = registry is not None
        self._leading = Leading(
            toolset_id=id,
            recruiter=Recruiter(registry, agent_factory, maker=id),
            own_host=MemoryHost(TaskManager() if task_manager is None else task_manager),
            task_fn=task_fn,
        )
        texts = descriptions or {}
        self.add_function(self.spawn_team, description=texts.get("spawn_team"))
        self.add_function(self.assign_task, description=texts.get("assign_task"))
        self.add_function(self.check_teammates, description=texts.get("check_teammates"))
        self.add_function(self.message_teammate, description=texts.get("message_teammate"))
        self.add_function(self.dissolve_team, description=texts.get("dissolve_team"))
        TodoTools(self._find_seat, NO_TEAM).add_to(self, LEADER_TODO_TOOLS, texts)
        self.add_function(self.remove_todo, description=texts.get("remove_todo"))
        if unknown := texts.keys() - self.tools.keys():
            raise ValueError(
                f"descriptions name unknown tools: {', '.join(sorted(unknown))}. The tools are: {', '.join(self.tools)}"
            )

    async def for_run(self, ctx: RunContext[Any]) -> AbstractToolset[Any]:
        """Return the toolset for one run, which ends its team with it. A server sees to that itself."""
        return self if current_host.get() is not None else _OneRun(wrapped=self, leave=lambda: self._leading.leave(ctx))

    def prepare(
        self, name: str, *, description: str, definition_json: str, deps: Any, model: Model | str | None
    ) -> PreparedSubagent:
        """Prepare a member for a task, also in another process than the one that spawned it. Raises LookupError."""
        if not definition_json:
            raise LookupError(f"nothing is known of a member {name!r}")
        return self._leading.prepare(Recruit.model_validate_json(definition_json), description, deps=deps, model=model)

    async def spawn_team(
        self, ctx: RunContext[Any], team_name: str, members: list[TeamMemberSpec]
    ) -> str | ToolReturn[str]:
        """Put together a team of agents that work for you, with a todo list that you share and messages.

        Args:
            ctx: The run that calls.
            team_name: What the team is called.
            members: Who is in it.
        """
        async with self._leading.changing(ctx):
            team = await self._leading.find(ctx)
            call = call_of(ctx)
            if team is not None and not _is_of_call(team, team_name, members, call):
                return "Error: A team is already active. Dissolve it first."
            try:
                made = await self._leading.spawn(ctx, team, recruits_for(team_name, members, call))
            except Exception as error:  # noqa: BLE001 - whatever a factory raises is for the model to know
                return f"Error: {error}"
        lines = [f"Team '{team_name}' created with {len(members)} members:", *(f"- {each.name}" for each in members)]
        if self._has_registry:
            lines += ["", "Members registered as subagents. Use assign_task to start execution."]
        return ToolReturn("\n".join(lines), metadata=created(*made, for_run=True))

    async def assign_task(self, ctx: RunContext[Any], member_name: str, task_description: str) -> str:
        """Give a member something to do; it starts at once, while you go on. A todo stands for it on the list.

        Args:
            ctx: The run that calls.
            member_name: Who is to do it.
            task_description: What is to be done. The member knows nothing else of your conversation.
        """
        async with self._leading.changing(ctx):
            team = await self._leading.find(ctx)
            if team is None:
                return NO_TEAM
            if (recruit := team.recruits.get(member_name)) is None:
                return _not_found(team, member_name)
            view = await self._leading.view_of(ctx, recruit)
            is_repeated = call_of(ctx) == recruit.assign_call
            if view is not None and not view.status.is_finished and not is_repeated:
                return f"Error: Member '{member_name}' is already running. Check status first."
            await self._leading.settle(team, recruit, view)
            try:
                given = await self._leading.assign(ctx, team, recruit, task_description)
            except StartFailed as failure:
                return f"Error starting task for '{member_name}': {failure}"
        return (
            f"Task assigned to '{member_name}' (todo: {given.todo_id}). Agent running in background.\n"
            f"Task ID: {given.task_id}"
        )

    async def check_teammates(self, ctx: RunContext[Any]) -> str:
        """See how the members and their todos stand, and what they wrote to you."""
        team = await self._leading.find(ctx)
        if team is None:
            return "No team is active."
        lines = [f"Team '{team.name}' status:", "", "Members:"]
        for name, recruit in team.recruits.items():
            view = await self._leading.view_of(ctx, recruit)
            await self._leading.settle(team, recruit, view)
            lines += _member_lines(name, view)
        state = await team.board.read()
        if state.todos:
            lines += ["", "Shared tasks:", describe_todos(state)]
        if isinstance(team.board, MemoryTeamBoard):
            # Under a server what members write is in the leader's conversation by now.
            messages = await team.board.message_bus.receive(LEADER)
            lines += ["", *(message_text(message) for message in messages)] if messages else []
        return "\n".join(lines)

    async def message_teammate(self, ctx: RunContext[Any], member_name: str, message: str) -> str:
        """Write to a member: the answer to its question, or something for its next step.

        Args:
            ctx: The run that calls.
            member_name: Who is to read it.
            message: What you want to say.
        """
        team = await self._leading.find(ctx)
        if team is None:
            return NO_TEAM
        if (recruit := team.recruits.get(member_name)) is None:
            return _not_found(team, member_name)
        view = await self._leading.view_of(ctx, recruit)
        # First the answer, then the message: a call that is made again after a crash is told that it answered.
        if view is not None and await self._leading.host.answer(ctx, view.task_id, message):
            return f"Answer delivered to '{member_name}', which was waiting for one."
        try:
            await self._leading.tell(ctx, team, recruit, message)
        except REFUSALS as refusal:
            return f"Error: {refusal}"
        return _delivered(member_name, view)

    async def dissolve_team(self, ctx: RunContext[Any]) -> str | ToolReturn[str]:
        """End the team: what its members still do is canceled."""
        async with self._leading.changing(ctx):
            team = await self._leading.find(ctx)
            if team is None:
                return "No team is active."
            dismissed = await self._leading.dissolve(ctx, team)
        return ToolReturn(f"Team '{team.name}' dissolved.", metadata=removed(*dismissed))

    async def remove_todo(self, ctx: RunContext[Any], todo_id: str) -> str:
        """Take a todo off the team's list; what waits for it waits no longer."""
        team = await self._leading.find(ctx)
        if team is None:
            return NO_TEAM
        if await team.board.remove_todo(todo_id, LEADER, key=ctx.tool_call_id or ""):
            return f"Todo '{todo_id}' is removed"
        return f"Error: there is no todo '{todo_id}'"

    async def _find_seat(self, ctx: RunContext[Any]) -> Seat | None:
        team = await self._leading.find(ctx)
        return None if team is None else Seat(board=team.board, name=LEADER)


create_team_toolset = TeamToolset


@dataclass
class _OneRun(WrapperToolset[Any]):
    """The toolset as one run has it. A dataclass, because pydantic-ai copies it with `replace`."""

    leave: Callable[[], Awaitable[None]]

    async def __aexit__(self, *args: object) -> bool | None:
        try:
            return await super().__aexit__(*args)
        finally:
            await self.leave()


def _is_of_call(team: LedTeam, name: str, members: Sequence[TeamMemberSpec], call: str) -> bool:
    """Whether this very call made the team: then it was cut off before it could say so."""
    made = [recruit.spec for recruit in team.recruits.values() if recruit.spawn_call == call]
    return team.name == name and made == list(members)


def _not_found(team: LedTeam, member_name: str) -> str:
    return f"Error: Member '{member_name}' not found. Available: {', '.join(team.recruits)}"


def _delivered(name: str, view: TaskView | None) -> str:
    recorded = f"Message recorded for '{name}', but"
    if view is None:
        return f"{recorded} it has no running task to deliver it to. Assign a task first."
    if view.status.is_finished:
        return f"{recorded} its task has ended (status: {view.status.value}). Its next task begins with it."
    return f"Message delivered to '{name}'; it will be applied on its next step."


def _member_lines(name: str, view: TaskView | None) -> list[str]:
    if view is None:
        return [f"- {name}: idle"]
    lines = [f"- {name}: {view.status.value}"]
    if view.status is TaskStatus.COMPLETED and view.result:
        lines.append(f"  Result: {view.result}")
    if view.status.is_finished and view.error:
        lines.append(f"  Error: {view.error}")
    lines += [f"  Question: {question.text}" for question in view.questions]
    return lines
