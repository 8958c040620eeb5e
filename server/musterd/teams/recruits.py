"""Members that a model asks for while its run goes on, and what is kept of them."""

from collections.abc import Sequence
from typing import Any, Self, cast

from pydantic import BaseModel, Field
from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent

from musterd.domain.board import LEADER, BoardMember
from musterd.subagents.registry import DynamicAgentRegistry
from musterd.subagents.types import AgentFactory, SubAgentConfig
from musterd.teams.prompts import member_instructions

MAX_TEAM_MEMBERS = 50
"""How many members a team may have that a model puts together."""


class TeamMemberSpec(BaseModel):
    """A member of the team that is to be made."""

    name: str = Field(description="What the member is called. Each in the team has another name.")
    role: str = Field(default="worker", description="What it does in the team, in a word or two.")
    description: str = Field(default="", description="What it is good at.")
    instructions: str = Field(default="", description="How it is to work.")
    model: str | None = Field(default=None, description="Its model; when left out, the one that you run on.")


class Recruit(BaseModel):
    """All that is needed to run a member again from nothing, and what was last given to it.

    `briefing` tells it about its team. `spawn_call` and `assign_call` are the tool calls that made it and that gave it
    its latest task: the same call again finds what it did. `is_registered` is true when the team put it into the
    registry, and has to take it out again.
    """

    team: str
    spec: TeamMemberSpec
    briefing: str
    spawn_call: str
    is_registered: bool = False
    assign_call: str = ""
    todo_id: str = ""
    task_id: str = ""

    @classmethod
    def of(cls, member: BoardMember) -> Self:
        """Return what the board keeps of a member."""
        return cls.model_validate_json(member.leader_json)

    def as_member(self) -> BoardMember:
        """Return it as the board keeps it."""
        spec = self.spec
        return BoardMember(
            name=spec.name, role=spec.role, description=spec.description, leader_json=self.model_dump_json()
        )


def recruits_for(team: str, specs: Sequence[TeamMemberSpec], spawn_call: str) -> list[Recruit]:
    """Return the members of a new team. Raises ValueError with what is wrong with the team, for the model."""
    if not team.strip():
        raise ValueError("A team needs a name.")
    if not specs:
        raise ValueError("A team needs at least one member.")
    if len(specs) > MAX_TEAM_MEMBERS:
        raise ValueError(f"A team has at most {MAX_TEAM_MEMBERS} members, not {len(specs)}.")
    names = [spec.name for spec in specs]
    for index, name in enumerate(names):
        if not name.strip() or name == LEADER:
            raise ValueError(f"A member cannot be called '{name}'.")
        if name in names[:index]:
            raise ValueError(f"Two members are called '{name}': their names must differ.")
    roster = [BoardMember(name=spec.name, role=spec.role, description=spec.description) for spec in specs]
    return [
        Recruit(team=team, spec=spec, briefing=member_instructions(team, roster, spec.name), spawn_call=spawn_call)
        for spec in specs
    ]


class Recruiter:
    """Builds the agents of members, and keeps the registry in which other tools find them by name."""

    def __init__(self, registry: DynamicAgentRegistry | None, agent_factory: AgentFactory | None) -> None:
        self._registry = registry
        self._agent_factory = agent_factory

    def enlist(self, recruits: Sequence[Recruit]) -> None:
        """Build each member once, and register it if it is not. Whatever is raised passes, and nothing is left then."""
        try:
            for recruit in recruits:
                if not self._is_known(recruit):
                    agent = self._build(recruit)
                    if self._registry is not None:
                        self._registry.register(self._config_of(recruit), agent)
                        recruit.is_registered = True
        except BaseException:
            self.dismiss(recruits)
            raise

    def dismiss(self, recruits: Sequence[Recruit]) -> None:
        """Take those out of the registry that `enlist` put in."""
        for recruit in recruits:
            if self._registry is not None and recruit.is_registered:
                self._registry.remove(recruit.spec.name)
                recruit.is_registered = False

    def agent_of(self, recruit: Recruit) -> AbstractAgent[Any, Any]:
        """Return a member's agent: the registered one, or a new one."""
        known = None if self._registry is None else self._registry.get(recruit.spec.name)
        return self._build(recruit) if known is None else known

    def _is_known(self, recruit: Recruit) -> bool:
        return self._registry is not None and self._registry.exists(recruit.spec.name)

    def _build(self, recruit: Recruit) -> AbstractAgent[Any, Any]:
        if self._agent_factory is None:
            spec = recruit.spec
            return Agent(spec.model, name=spec.name, description=spec.description, instructions=spec.instructions)
        agent: object = self._agent_factory(self._config_of(recruit))
        if not isinstance(agent, AbstractAgent):
            raise TypeError(f"the agent_factory returned a {type(agent).__name__} and not an agent")
        return cast("AbstractAgent[Any, Any]", agent)

    def _config_of(self, recruit: Recruit) -> SubAgentConfig:
        spec = recruit.spec
        config = SubAgentConfig(
            name=spec.name, description=f"[Team {recruit.team}] {spec.description}", instructions=spec.instructions
        )
        if spec.model is not None:
            config["model"] = spec.model
        if self._agent_factory is not None:
            config["agent_factory"] = self._agent_factory
        return config
