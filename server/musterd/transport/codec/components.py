"""Encodes what a client may learn of a component before it runs."""

from typing import cast

from musterd.runtime.components.registry import ComponentInfo, MemberInfo, ToolInfo
from musterd_client.v1 import component_pb2


def encode_agent(info: ComponentInfo) -> component_pb2.Agent:
    """Encode an agent."""
    return component_pb2.Agent(
        agent_id=info.ref.id,
        name=info.name,
        description=info.description,
        is_factory=info.is_factory,
        input_schema_json=info.input_schema_json,
        tools=[_encode_tool(tool) for tool in info.tools],
    )


def encode_team(info: ComponentInfo) -> component_pb2.Team:
    """Encode a team."""
    return component_pb2.Team(
        team_id=info.ref.id,
        name=info.name,
        description=info.description,
        is_factory=info.is_factory,
        input_schema_json=info.input_schema_json,
        mode=_encode_mode(info.mode),
        members=[_encode_member(member) for member in info.members],
    )


def _encode_mode(mode: str) -> component_pb2.TeamMode:
    return cast("component_pb2.TeamMode", component_pb2.TeamMode.Value(f"TEAM_MODE_{mode.upper() or 'UNSPECIFIED'}"))


def _encode_tool(tool: ToolInfo) -> component_pb2.Tool:
    return component_pb2.Tool(
        name=tool.name, description=tool.description, parameters_schema_json=tool.parameters_schema_json
    )


def _encode_member(member: MemberInfo) -> component_pb2.TeamMember:
    return component_pb2.TeamMember(name=member.name, role=member.role, description=member.description)
