"""The RPCs of the contract.

The unary ones are repeated while the server is unavailable: each changes nothing, or carries a request_id, which the
client always sets.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from musterd_client.v1 import agent_service_pb2, server_service_pb2, task_service_pb2, team_service_pb2

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[RequestT, ResponseT]):
    """One RPC with the types of its messages."""

    service: str
    name: str
    request: type[RequestT]
    response: type[ResponseT]

    @property
    def path(self) -> str:
        """The RPC as HTTP/2 names it."""
        return f"/{self.service}/{self.name}"


_AGENTS = "musterd.v1.AgentService"
_TEAMS = "musterd.v1.TeamService"
_TASKS = "musterd.v1.TaskService"
_SERVER = "musterd.v1.ServerService"

LIST_AGENTS = Method(_AGENTS, "ListAgents", agent_service_pb2.ListAgentsRequest, agent_service_pb2.ListAgentsResponse)
GET_AGENT = Method(_AGENTS, "GetAgent", agent_service_pb2.GetAgentRequest, agent_service_pb2.GetAgentResponse)
RUN_AGENT = Method(_AGENTS, "RunAgent", agent_service_pb2.RunAgentRequest, agent_service_pb2.RunAgentResponse)
LIST_TEAMS = Method(_TEAMS, "ListTeams", team_service_pb2.ListTeamsRequest, team_service_pb2.ListTeamsResponse)
GET_TEAM = Method(_TEAMS, "GetTeam", team_service_pb2.GetTeamRequest, team_service_pb2.GetTeamResponse)
RUN_TEAM = Method(_TEAMS, "RunTeam", team_service_pb2.RunTeamRequest, team_service_pb2.RunTeamResponse)
GET_TEAM_BOARD = Method(
    _TEAMS, "GetTeamBoard", team_service_pb2.GetTeamBoardRequest, team_service_pb2.GetTeamBoardResponse
)
ADD_TODO = Method(_TEAMS, "AddTodo", team_service_pb2.AddTodoRequest, team_service_pb2.AddTodoResponse)
SEND_TEAM_MESSAGE = Method(
    _TEAMS, "SendTeamMessage", team_service_pb2.SendTeamMessageRequest, team_service_pb2.SendTeamMessageResponse
)
TASK_STATUS = Method(_TASKS, "TaskStatus", task_service_pb2.TaskStatusRequest, task_service_pb2.TaskStatusResponse)
LIST_TASKS = Method(_TASKS, "ListTasks", task_service_pb2.ListTasksRequest, task_service_pb2.ListTasksResponse)
WATCH_TASK = Method(_TASKS, "WatchTask", task_service_pb2.WatchTaskRequest, task_service_pb2.WatchTaskResponse)
WAIT_TASKS = Method(_TASKS, "WaitTasks", task_service_pb2.WaitTasksRequest, task_service_pb2.WaitTasksResponse)
CANCEL_TASK = Method(_TASKS, "CancelTask", task_service_pb2.CancelTaskRequest, task_service_pb2.CancelTaskResponse)
STEER_TASK = Method(_TASKS, "SteerTask", task_service_pb2.SteerTaskRequest, task_service_pb2.SteerTaskResponse)
ANSWER_TASK = Method(_TASKS, "AnswerTask", task_service_pb2.AnswerTaskRequest, task_service_pb2.AnswerTaskResponse)
GET_SERVER_INFO = Method(
    _SERVER, "GetServerInfo", server_service_pb2.GetServerInfoRequest, server_service_pb2.GetServerInfoResponse
)
CHECK_HEALTH = Method("grpc.health.v1.Health", "Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
