"""The services of the contract, with who serves each."""

from collections.abc import Mapping

from google.protobuf.descriptor import ServiceDescriptor

from musterd.transport.agents import AgentServicer
from musterd.transport.hooks import HookServicer
from musterd.transport.server_info import ServerInfoServicer
from musterd.transport.sessions import SessionServicer
from musterd.transport.tasks import TaskServicer
from musterd.transport.teams import TeamServicer
from musterd.transport.workflows import WorkflowServicer
from musterd_client.v1 import (
    agent_service_pb2,
    hook_service_pb2,
    server_service_pb2,
    session_service_pb2,
    task_service_pb2,
    team_service_pb2,
    workflow_service_pb2,
)


def services_of(
    *,
    agents: AgentServicer,
    teams: TeamServicer,
    workflows: WorkflowServicer,
    tasks: TaskServicer,
    sessions: SessionServicer,
    hooks: HookServicer,
    server_info: ServerInfoServicer,
) -> Mapping[ServiceDescriptor, object]:
    """Return the servicer of each service."""
    return {
        agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"]: agents,
        team_service_pb2.DESCRIPTOR.services_by_name["TeamService"]: teams,
        workflow_service_pb2.DESCRIPTOR.services_by_name["WorkflowService"]: workflows,
        task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]: tasks,
        session_service_pb2.DESCRIPTOR.services_by_name["SessionService"]: sessions,
        hook_service_pb2.DESCRIPTOR.services_by_name["HookService"]: hooks,
        server_service_pb2.DESCRIPTOR.services_by_name["ServerService"]: server_info,
    }
