"""Encodes what a client may learn of a component before it runs."""

from typing import cast

from musterd.runtime.components.registry import ComponentInfo, MemberInfo, StepInfo, ToolInfo
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


def encode_workflow(info: ComponentInfo) -> component_pb2.Workflow:
    """Encode a workflow."""
    return component_pb2.Workflow(
        workflow_id=info.ref.id,
        name=info.name,
        description=info.description,
        is_factory=info.is_factory,
        input_schema_json=info.input_schema_json,
        steps=[_encode_step(step) for step in info.steps],
    )


def _encode_step(step: StepInfo) -> component_pb2.WorkflowStep:
    return component_pb2.WorkflowStep(
        name=step.name,
        kind=cast(
            "component_pb2.WorkflowStepKind",
            component_pb2.WorkflowStepKind.Value(f"WORKFLOW_STEP_KIND_{step.kind.upper()}"),
        ),
        description=step.description,
        steps=[_encode_step(each) for each in step.steps],
        else_steps=[_encode_step(each) for each in step.else_steps],
        max_iterations=step.max_iterations,
    )


def _encode_mode(mode: str) -> component_pb2.TeamMode:
    return cast("component_pb2.TeamMode", component_pb2.TeamMode.Value(f"TEAM_MODE_{mode.upper() or 'UNSPECIFIED'}"))


def _encode_tool(tool: ToolInfo) -> component_pb2.Tool:
    return component_pb2.Tool(
        name=tool.name, description=tool.description, parameters_schema_json=tool.parameters_schema_json
    )


def _encode_member(member: MemberInfo) -> component_pb2.TeamMember:
    return component_pb2.TeamMember(name=member.name, role=member.role, description=member.description)
