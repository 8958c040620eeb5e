"""A team as a component: agents and teams that work on one request together."""

from collections.abc import Sequence
from typing import Any, cast

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.models import Model
from pydantic_ai.output import OutputSpec
from pydantic_ai.tools import Tool, ToolFuncEither
from pydantic_ai.toolsets import AbstractToolset

from musterd.domain.board import LEADER, BoardMember
from musterd.domain.hook_run import HookPhase
from musterd.hooks import HookCallable, check_hooks
from musterd.teams.prompts import TeamMode

MAX_MEMBER_FAILURES = 3
"""How many turns of members may fail in one run of a team, when the team does not say otherwise."""


class Team:
    """A leader and its members. The server runs it; the team itself holds no state, and may run many times at once.

    Each member has a name that no other one has. It is given only what the leader or the mode gives it to do.

    Args:
        name: The team's name; for a registered team also its id.
        members: Agents, and teams that do a part of the work. No factories: a team whose members differ from run to
            run is built by a factory as a whole.
        model: The leader's model. A team without one takes that of the team it is a member of.
        mode: Who decides and who answers: `coordinate` (the leader delegates and combines), `route` (one member
            answers), `broadcast` (all members get the request, the leader combines), `tasks` (a shared todo list is
            worked off).
        instructions: What the leader is told beside what the team's mode says.
        description: What the team is for, in words for those who choose it.
        tools: Tools of the leader's own.
        toolsets: Toolsets of the leader's own.
        output_type: What the leader's answer is; text when it is not given.
        max_member_failures: How many turns of members may fail before the run does.
        pre_hooks: Called before each run of the team, also as a member or a step.
        post_hooks: Called after it.

    Raises:
        TypeError: A member is neither an agent nor a team, or a hook cannot be called.
        ValueError: There is no name or no member, a member's name is missing, taken twice or `leader`, the mode is
            unknown, or `max_member_failures` is negative.
    """

    def __init__(
        self,
        name: str,
        members: Sequence["AbstractAgent[Any, Any] | Team"],
        *,
        model: Model | str | None = None,
        mode: TeamMode | str = TeamMode.COORDINATE,
        instructions: str = "",
        description: str = "",
        tools: Sequence[Tool[Any] | ToolFuncEither[Any, ...]] = (),
        toolsets: Sequence[AbstractToolset[Any]] = (),
        output_type: OutputSpec[Any] = str,
        max_member_failures: int = MAX_MEMBER_FAILURES,
        pre_hooks: Sequence[HookCallable] = (),
        post_hooks: Sequence[HookCallable] = (),
    ) -> None:
        if not name.strip():
            raise ValueError("a team needs a name")
        if max_member_failures < 0:
            raise ValueError(f"team {name!r}: max_member_failures must not be negative, not {max_member_failures}")
        self.name = name
        self.mode = _mode_of(name, mode)
        self.model = model
        self.instructions = instructions
        self.description = description
        self.tools = tuple(tools)
        self.toolsets = tuple(toolsets)
        self.output_type = output_type
        self.max_member_failures = max_member_failures
        self.pre_hooks = check_hooks(f"team {name!r}", pre_hooks, HookPhase.PRE)
        self.post_hooks = check_hooks(f"team {name!r}", post_hooks, HookPhase.POST)
        self.members = _checked(name, members)

    @property
    def roster(self) -> tuple[BoardMember, ...]:
        """Its members as the others see them, in the order of the team."""
        return tuple(
            BoardMember(name=name, description=_description_of(member)) for name, member in self.members.items()
        )

    def __repr__(self) -> str:
        return f"Team({self.name!r}, [{', '.join(self.members)}], mode={self.mode.value!r})"


Member = AbstractAgent[Any, Any] | Team


def _mode_of(team: str, mode: TeamMode | str) -> TeamMode:
    try:
        return TeamMode(mode)
    except ValueError:
        known = ", ".join(each.value for each in TeamMode)
        raise ValueError(f"team {team!r}: there is no mode {mode!r}; there are {known}") from None


def _checked(team: str, members: Sequence[object]) -> dict[str, Member]:
    if not isinstance(cast("object", members), Sequence):
        raise TypeError(f"team {team!r}: members is a list of agents and teams, not {_kind_of(members)}")
    if not members:
        raise ValueError(f"team {team!r} has no members: give it at least one agent or team")
    found: dict[str, Member] = {}
    for index, member in enumerate(members):
        if not isinstance(member, AbstractAgent | Team):
            raise TypeError(
                f"team {team!r}: members[{index}] is {_kind_of(member)}, not an agent or a team. A factory cannot be a "
                "member: register a TeamFactory that builds the whole team with the members of this run"
            )
        checked = cast("Member", member)
        name = checked.name
        if not name:
            raise ValueError(f"team {team!r}: members[{index}] has no name: Agent(..., name='...')")
        if name == LEADER:
            raise ValueError(f"team {team!r}: no member can be called {LEADER!r}, that is who leads the team")
        if name in found:
            raise ValueError(f"team {team!r} has two members {name!r}: their names must differ")
        found[name] = checked
    return found


def _description_of(member: Member) -> str:
    # An agent's description may be a template that only a run can fill in: then there is none to show.
    description = member.description
    return description if isinstance(description, str) else ""


def _kind_of(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a {type(value).__name__}"
