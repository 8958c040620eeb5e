"""The services of the contract, with who serves each."""

from collections.abc import Mapping

from google.protobuf.descriptor import ServiceDescriptor

from musterd.transport.agents import AgentServicer
from musterd.transport.server_info import ServerInfoServicer
from musterd.transport.tasks import TaskServicer
from musterd.transport.teams import TeamServicer
from musterd_client.v1 import agent_service_pb2, server_service_pb2, task_service_pb2, team_service_pb2


def services_of(
    *, agents: AgentServicer, teams: TeamServicer, tasks: TaskServicer, server_info: ServerInfoServicer
) -> Mapping[ServiceDescriptor, object]:
    """Return the servicer of each service."""
    return {
        agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"]: agents,
        team_service_pb2.DESCRIPTOR.services_by_name["TeamService"]: teams,
        task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]: tasks,
        server_service_pb2.DESCRIPTOR.services_by_name["ServerService"]: server_info,
    }
