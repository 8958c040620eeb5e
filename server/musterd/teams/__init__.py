"""Teams of agents with a shared todo list and messages: standalone, and durably under the server."""

from musterd.domain.board import TeamMessage, TodoRefused, TodoStatus
from musterd.domain.team_board import UnknownMemberError
from musterd.teams.agent_team import AgentTeam, MemberStatus, TeamMember, TeamMemberHandle
from musterd.teams.messages import InboxFullError, TeamMessageBus
from musterd.teams.prompts import TeamMode
from musterd.teams.recruits import TeamMemberSpec
from musterd.teams.team import Team
from musterd.teams.team_toolset import TeamToolset, create_team_toolset
from musterd.teams.todos import SharedTodoItem, SharedTodoList

__all__ = [
    "AgentTeam",
    "InboxFullError",
    "MemberStatus",
    "SharedTodoItem",
    "SharedTodoList",
    "Team",
    "TeamMember",
    "TeamMemberHandle",
    "TeamMemberSpec",
    "TeamMessage",
    "TeamMessageBus",
    "TeamMode",
    "TeamToolset",
    "TodoRefused",
    "TodoStatus",
    "UnknownMemberError",
    "create_team_toolset",
]
