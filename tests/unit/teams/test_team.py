import re
from typing import Any

import pytest
from pydantic_ai import Agent

from musterd import AgentFactory
from musterd.teams import Team, TeamMode
from musterd.teams.team import MAX_MEMBER_FAILURES


def agent(name: str | None, description: str | None = None) -> Agent:
    return Agent(name=name, description=description)


def test_a_team_takes_agents_and_teams() -> None:
    """C5, T1: members in their order, by name; what is not given has its default."""
    writers = Team("writers", [agent("ann"), agent("bob")], mode="broadcast", description="They write")
    team = Team("paper", [writers, agent("cid", "Reads proofs")], instructions="Be quick")
    assert list(team.members) == ["writers", "cid"]
    assert [(each.name, each.description) for each in team.roster] == [
        ("writers", "They write"),
        ("cid", "Reads proofs"),
    ]
    assert (team.mode, team.model, team.max_member_failures) == (TeamMode.COORDINATE, None, MAX_MEMBER_FAILURES)
    assert writers.mode is TeamMode.BROADCAST


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        (AgentFactory("ann", lambda _: Agent()), "a AgentFactory"),
        (lambda: Agent(), "a function"),  # noqa: PLW0108 - a factory as users write it
        (Agent, "the class Agent"),
        ("ann", "a str"),
        (None, "a NoneType"),
    ],
)
def test_what_is_no_agent_and_no_team_is_refused(member: Any, kind: str) -> None:
    """C5 (refusal): a factory inside a team is refused when the team is built, with what to do instead."""
    with pytest.raises(TypeError, match=re.escape(f"members[1] is {kind}, not an agent or a team")) as caught:
        Team("paper", [agent("bob"), member])
    assert "register a TeamFactory that builds the whole team" in str(caught.value)


def test_a_function_for_the_members_is_refused() -> None:
    """C5 (refusal): members are what they are when the team is built."""
    members: Any = lambda: [agent("ann")]  # noqa: E731 - a factory as users write it
    with pytest.raises(TypeError, match="members is a list of agents and teams, not a function"):
        Team("paper", members)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([], "has no members"),
        ([agent(None)], r"members\[0\] has no name"),
        ([agent("ann"), agent("ann")], "has two members 'ann'"),
        ([agent("leader")], "no member can be called 'leader'"),
    ],
)
def test_members_need_names_of_their_own(members: list[Agent], problem: str) -> None:
    """T1 (refusal): each refusal says what is wrong with which team."""
    with pytest.raises(ValueError, match=f"team 'paper'.*{problem}"):
        Team("paper", members)


def test_a_team_refuses_what_it_does_not_know() -> None:
    """T1 (refusal): an unknown mode is told the known ones."""
    with pytest.raises(ValueError, match="no mode 'collaborate'; there are coordinate, route, broadcast, tasks"):
        Team("paper", [agent("ann")], mode="collaborate")
    with pytest.raises(ValueError, match="a team needs a name"):
        Team(" ", [agent("ann")])
    with pytest.raises(ValueError, match="max_member_failures must not be negative, not -1"):
        Team("paper", [agent("ann")], max_member_failures=-1)
    assert Team("paper", [agent("ann")], max_member_failures=0).max_member_failures == 0
