"""What the leader and the members of a team are told, in words for a model."""

from collections.abc import Sequence
from enum import StrEnum
from typing import assert_never

from musterd.domain.board import LEADER, BoardMember


class TeamMode(StrEnum):
    """How a team works: who decides, and who answers."""

    COORDINATE = "coordinate"
    ROUTE = "route"
    BROADCAST = "broadcast"
    TASKS = "tasks"


def leader_instructions(team: str, members: Sequence[BoardMember], mode: TeamMode) -> str:
    """Return what the leader of a team is told beside its author's instructions."""
    return "\n\n".join((f"You lead the team '{team}'.", roster(members), _duty_of_leader(mode)))


def _duty_of_leader(mode: TeamMode) -> str:
    match mode:
        case TeamMode.COORDINATE:
            return (
                "Split the request into pieces and give each to the member that fits it best, with "
                "delegate_to_member. A member sees nothing but the task that you write, so say all that it needs. "
                "Pieces that do not depend on each other belong into one response: their members then work at the "
                "same time. When you have what you need, answer the request yourself, in one text."
            )
        case TeamMode.ROUTE:
            return (
                "Choose the one member that fits the request best, and hand the request over with "
                "delegate_to_member, once. What the member says is the team's answer: do not change it."
            )
        case TeamMode.BROADCAST:
            return (
                "Every member was given the request, and you are given what each of them said. Make one answer out "
                "of it: say where they agree, weigh where they do not, and leave nothing important out."
            )
        case TeamMode.TASKS:
            return (
                "Plan the work as todos with add_team_todo: each small enough for one member, and each with the ids of "
                "the todos that it must wait for. Members take on what is free. When the todos are done you are "
                "asked again: add what is still missing, or answer the request from the results."
            )
        case _:
            assert_never(mode)


def member_instructions(team: str, members: Sequence[BoardMember], name: str) -> str:
    """Return what a member of a team is told beside its author's instructions."""
    me = next((member for member in members if member.name == name), BoardMember(name=name))
    introduction = f"You are '{name}' in the team '{team}'"
    introduction += f", as its {me.role}." if me.role else "."
    others = [member for member in members if member.name != name]
    duty = (
        "The team shares a todo list. Take a todo on with claim_team_todo before you work on it, and say with "
        "complete_team_todo what came of it; add what you find missing with add_team_todo. The todo of a task that you "
        "were given is yours already, and is completed with your answer. "
        f"Talk to one of the team with send_team_message ('{LEADER}' is who leads it), and to all with "
        "broadcast_team_message. What others write to you appears in this conversation. "
        "Your final answer goes to the leader, who sees nothing else of your work."
    )
    return "\n\n".join((introduction, roster(others, "With you are:"), duty) if others else (introduction, duty))


def roster(members: Sequence[BoardMember], heading: str = "Its members are:") -> str:
    """Return who is in a team, one line each."""
    lines = [heading]
    for member in members:
        line = f"- {member.name}"
        line += f" ({member.role})" if member.role else ""
        line += f": {member.description}" if member.description else ""
        lines.append(line)
    return "\n".join(lines)
