"""The RPCs of the contract.

They are repeated while the server is unavailable, or breaks them off as it ends: each changes nothing, or does the same
when it is done again, or carries a request_id, which the client always sets.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from musterd_client.v1 import (
    agent_service_pb2,
    hook_service_pb2,
    server_service_pb2,
    session_service_pb2,
    task_service_pb2,
    team_service_pb2,
    workflow_service_pb2,
)

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
_WORKFLOWS = "musterd.v1.WorkflowService"
_TASKS = "musterd.v1.TaskService"
_SESSIONS = "musterd.v1.SessionService"
_HOOKS = "musterd.v1.HookService"
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
LIST_WORKFLOWS = Method(
    _WORKFLOWS, "ListWorkflows", workflow_service_pb2.ListWorkflowsRequest, workflow_service_pb2.ListWorkflowsResponse
)
GET_WORKFLOW = Method(
    _WORKFLOWS, "GetWorkflow", workflow_service_pb2.GetWorkflowRequest, workflow_service_pb2.GetWorkflowResponse
)
RUN_WORKFLOW = Method(
    _WORKFLOWS, "RunWorkflow", workflow_service_pb2.RunWorkflowRequest, workflow_service_pb2.RunWorkflowResponse
)
TASK_STATUS = Method(_TASKS, "TaskStatus", task_service_pb2.TaskStatusRequest, task_service_pb2.TaskStatusResponse)
LIST_TASKS = Method(_TASKS, "ListTasks", task_service_pb2.ListTasksRequest, task_service_pb2.ListTasksResponse)
WATCH_TASK = Method(_TASKS, "WatchTask", task_service_pb2.WatchTaskRequest, task_service_pb2.WatchTaskResponse)
WAIT_TASKS = Method(_TASKS, "WaitTasks", task_service_pb2.WaitTasksRequest, task_service_pb2.WaitTasksResponse)
CANCEL_TASK = Method(_TASKS, "CancelTask", task_service_pb2.CancelTaskRequest, task_service_pb2.CancelTaskResponse)
STEER_TASK = Method(_TASKS, "SteerTask", task_service_pb2.SteerTaskRequest, task_service_pb2.SteerTaskResponse)
ANSWER_TASK = Method(_TASKS, "AnswerTask", task_service_pb2.AnswerTaskRequest, task_service_pb2.AnswerTaskResponse)
RESOLVE_TASK = Method(_TASKS, "ResolveTask", task_service_pb2.ResolveTaskRequest, task_service_pb2.ResolveTaskResponse)
LIST_SESSIONS = Method(
    _SESSIONS, "ListSessions", session_service_pb2.ListSessionsRequest, session_service_pb2.ListSessionsResponse
)
GET_SESSION = Method(
    _SESSIONS, "GetSession", session_service_pb2.GetSessionRequest, session_service_pb2.GetSessionResponse
)
DELETE_SESSION = Method(
    _SESSIONS, "DeleteSession", session_service_pb2.DeleteSessionRequest, session_service_pb2.DeleteSessionResponse
)
LIST_HOOK_RUNS = Method(
    _HOOKS, "ListHookRuns", hook_service_pb2.ListHookRunsRequest, hook_service_pb2.ListHookRunsResponse
)
RETRY_HOOK_RUN = Method(
    _HOOKS, "RetryHookRun", hook_service_pb2.RetryHookRunRequest, hook_service_pb2.RetryHookRunResponse
)
GET_SERVER_INFO = Method(
    _SERVER, "GetServerInfo", server_service_pb2.GetServerInfoRequest, server_service_pb2.GetServerInfoResponse
)
CHECK_HEALTH = Method("grpc.health.v1.Health", "Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
