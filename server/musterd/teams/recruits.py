"""Members that a model asks for while its run goes on, and what is kept of them."""

import re
from collections.abc import Sequence
from typing import Any, Self, cast

from pydantic import BaseModel, Field
from pydantic_ai import Agent, RunContext
from pydantic_ai.agent import AbstractAgent

from musterd.domain.board import LEADER, BoardMember
from musterd.subagents.registry import MAX_NAME_CHARS, AgentDefinition, DynamicAgentRegistry
from musterd.subagents.types import AgentFactory, CompiledSubAgent, SubAgentConfig
from musterd.teams.prompts import member_instructions

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

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
        if not name.strip() or name == LEADER or _CONTROL.search(name):
            raise ValueError(f"A member cannot be called {name!r}.")
        if len(name) > MAX_NAME_CHARS:
            raise ValueError(f"A member's name has at most {MAX_NAME_CHARS} characters, not {len(name)}.")
        if name in names[:index]:
            raise ValueError(f"Two members are called '{name}': their names must differ.")
    roster = [BoardMember(name=spec.name, role=spec.role, description=spec.description) for spec in specs]
    return [
        Recruit(team=team, spec=spec, briefing=member_instructions(team, roster, spec.name), spawn_call=spawn_call)
        for spec in specs
    ]


class Recruiter:
    """Builds the agents of members, and keeps the registry in which other tools find them by name.

    `maker` is the name under which the registry has members made again from their definitions.
    """

    def __init__(self, registry: DynamicAgentRegistry | None, agent_factory: AgentFactory | None, maker: str) -> None:
        self._registry = registry
        self._agent_factory = agent_factory
        self._maker = maker
        if registry is not None:
            registry.set_maker(maker, lambda definition, _: self._make(definition))

    def enlist(self, recruits: Sequence[Recruit]) -> None:
        """Build each member once, and register it if it is not. Whatever is raised passes, and nothing is left then."""
        try:
            for recruit in recruits:
                if not self._is_known(recruit):
                    self._enlist(recruit)
        except BaseException:
            self.dismiss(recruits)
            raise

    def enlist_again(self, recruits: Sequence[Recruit]) -> None:
        """Register those that another process had in its registry. Raises as `enlist`."""
        for recruit in recruits:
            if recruit.is_registered and not self._is_known(recruit):
                self._enlist(recruit)

    def _enlist(self, recruit: Recruit) -> None:
        definition = self._definition_of(recruit)
        made = self._make(definition)
        if self._registry is not None:
            self._registry.register(made.config, made.agent, definition)
            recruit.is_registered = True

    def definitions_of(self, recruits: Sequence[Recruit]) -> Sequence[AgentDefinition]:
        """Return what those are made from that are registered for their team."""
        return [self._definition_of(recruit) for recruit in recruits if recruit.is_registered]

    def dismiss(self, recruits: Sequence[Recruit]) -> None:
        """Take those out of the registry that `enlist` put in."""
        for recruit in recruits:
            if self._registry is not None and recruit.is_registered:
                self._registry.remove(recruit.spec.name)
                recruit.is_registered = False

    def recover(self, ctx: RunContext[Any]) -> None:
        """Bring the registry to where earlier calls of the run left it, in another process too."""
        if self._registry is not None:
            self._registry.recover(ctx)

    def note(self, ctx: RunContext[Any]) -> None:
        """Note that the tool call in this context changed the registry."""
        if self._registry is not None:
            self._registry.note(ctx)

    def agent_of(self, recruit: Recruit) -> AbstractAgent[Any, Any]:
        """Return a member's agent: the registered one, or a new one."""
        known = None if self._registry is None else self._registry.get(recruit.spec.name)
        return self._make(self._definition_of(recruit)).agent if known is None else known

    def _is_known(self, recruit: Recruit) -> bool:
        return self._registry is not None and self._registry.exists(recruit.spec.name)

    def _definition_of(self, recruit: Recruit) -> AgentDefinition:
        spec = recruit.spec
        return AgentDefinition(
            name=spec.name,
            description=f"[Team {recruit.team}] {spec.description}",
            instructions=spec.instructions,
            maker=self._maker,
            model=spec.model,
        )

    def _make(self, definition: AgentDefinition) -> CompiledSubAgent:
        name, description = definition.name, definition.description
        config = SubAgentConfig(name=name, description=description, instructions=definition.instructions)
        if definition.model is not None:
            config["model"] = definition.model
        if self._agent_factory is not None:
            config["agent_factory"] = self._agent_factory
        return CompiledSubAgent(name=name, description=description, config=config, agent=self._build(config))

    def _build(self, config: SubAgentConfig) -> Any:
        if self._agent_factory is None:
            return Agent(
                config.get("model"),
                name=config["name"],
                description=config["description"],
                instructions=config["instructions"],
            )
        agent: object = self._agent_factory(config)
        if not isinstance(agent, AbstractAgent):
            raise TypeError(f"the agent_factory returned a {type(agent).__name__} and not an agent")
        return cast("AbstractAgent[Any, Any]", agent)
