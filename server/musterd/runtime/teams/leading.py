"""What all modes of a team share: the leader's runs, and the turns of members."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent, AgentRunResult, RunContext
from pydantic_ai.messages import ModelMessage
from pydantic_ai.output import OutputSpec
from pydantic_ai.toolsets import AbstractToolset

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ids import derived_id
from musterd.domain.task import ComponentKind, Part, Task, TaskState
from musterd.runtime.attempt.running import run_agent
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.components.nodes import AgentNode, Prompt, TeamNode, model_of
from musterd.runtime.delegation.board import EngineBoard
from musterd.runtime.delegation.children import Children, owner_of
from musterd.runtime.delegation.host import EngineHost
from musterd.subagents.host import Delegation, PreparedSubagent, TaskView
from musterd.teams.member_tools import member_toolset
from musterd.teams.prompts import leader_instructions

MEMBER_KINDS = (ComponentKind.MEMBER, ComponentKind.TEAM)
UNSUCCESSFUL = (TaskState.FAILED, TaskState.REJECTED, TaskState.CANCELED)


class TeamRun:
    """One attempt at a team's task, which is its leader's run; every turn of a member is a child of it."""

    def __init__(
        self, node: TeamNode, scope: RunScope, *, host: EngineHost, board: EngineBoard, children: Children
    ) -> None:
        self.node = node
        self.team = node.team
        self.scope = scope
        self.host = host
        self.board = board
        self.children = children
        self._leader: Agent[Any, Any] | None = None

    async def lead(
        self,
        prompt: Prompt,
        *,
        toolsets: tuple[AbstractToolset[Any], ...] = (),
        output_type: OutputSpec[Any] | None = None,
        history: list[ModelMessage] | None = None,
    ) -> AgentRunResult[Any]:
        """Ask the leader, and return what it says."""
        if self._leader is None:
            self._leader = self._make_leader(output_type)
        node = AgentNode(agent=self._leader, deps=self.node.deps, prompt=prompt, toolsets=(member_toolset(),))
        return await run_agent(node, self.scope, toolsets=toolsets, history=history)

    def _make_leader(self, output_type: OutputSpec[Any] | None) -> Agent[Any, Any]:
        team = self.team
        model = model_of(self.node)
        if model is None:
            raise MusterdError(
                reason=Reason.FACTORY_FAILED,
                message=f"the team {team.name!r} has no model for its leader: make it with Team(…, model=…)",
            )
        return Agent(
            model,
            name=team.name,
            instructions=[leader_instructions(team.name, team.roster, team.mode), team.instructions],
            tools=team.tools,
            toolsets=team.toolsets,
            output_type=team.output_type if output_type is None else output_type,
            retries=team.max_member_failures + 1,
        )

    def turn_id(self, *key: str | int) -> str:
        """Return the id of a turn that no tool call starts."""
        return derived_id(self.scope.task.task_id, "turn", *key)

    async def start_turn(self, turn_id: str, member: str, task: str, parts: tuple[Part, ...] = ()) -> None:
        """Let a member do something; a turn with this id that is there goes on. Raises MusterdError, or Interrupted."""
        try:
            await self.host.start_child(turn_id, self.delegation(member, task, in_background=True), parts)
        except MusterdError:
            # A run that is being canceled starts nothing: then that is how it ends.
            self.scope.control.check()
            raise

    def delegation(self, member: str, task: str, *, in_background: bool) -> Delegation:
        """Return the wish to have a member do something."""
        return Delegation(
            subagent=member,
            description=task,
            prepare=lambda: prepared_by_team(member, task),
            toolset_id="",
            in_background=in_background,
            is_member=True,
        )

    async def join(self, turn_ids: Sequence[str]) -> Sequence[Task]:
        """Return turns once all of them have ended. Raises MusterdError RUN_TIMEOUT, or Interrupted."""
        awaited = set(turn_ids)

        def have_ended(tasks: Sequence[Task]) -> bool:
            awaited.difference_update(task.task_id for task in tasks if task.state.is_terminal)
            return not awaited

        async with self.scope.time_limit(), self.host.parking.waiting(awaited):
            work = self.children.wait(owner_of(self.scope.task), turn_ids, have_ended)
            return await self.scope.control.guard(work)

    async def turns(self) -> Sequence[Task]:
        """Return all turns of members so far."""
        task_id = self.scope.task.task_id
        below = await self.children.patiently(lambda: self.children.store.get_descendants(task_id))
        return [task for task in below if task.parent_task_id == task_id and task.component.kind in MEMBER_KINDS]

    async def check_failures(self) -> None:
        """Raise MusterdError MEMBERS_FAILED when more turns came to grief than the team bears."""
        failed = [task for task in await self.turns() if task.state in UNSUCCESSFUL]
        if len(failed) <= self.team.max_member_failures:
            return
        names = ", ".join(sorted({task.component.id for task in failed}))
        raise MusterdError(
            reason=Reason.MEMBERS_FAILED,
            message=f"{len(failed)} turns of members failed, and the team {self.team.name!r} bears "
            f"{self.team.max_member_failures}: {names}",
        )


class FailureCounting:
    """The host as the leader's tool uses it: too many failures of members end the team's run."""

    def __init__(self, run: TeamRun) -> None:
        self._run = run

    async def start(self, ctx: RunContext[Any], delegation: Delegation) -> str:
        """Start a turn."""
        return await self._run.host.start(ctx, delegation)

    async def join(self, ctx: RunContext[Any], task_id: str) -> TaskView:
        """Return how a turn ended. Raises MusterdError MEMBERS_FAILED."""
        view = await self._run.host.join(ctx, task_id)
        await self._run.check_failures()
        return view


def prepared_by_team(member: str, task: str) -> PreparedSubagent:
    """Never called: the host takes the members of a team from the team that it runs."""
    raise LookupError(f"{member!r} is no member of the team that runs, and cannot be given {task!r}")
