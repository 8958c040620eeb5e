"""The client: one object for one server."""

from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Self, Unpack

import grpc
from grpc_health.v1 import health_pb2

from musterd_client.agents import Agents
from musterd_client.calls import Calls
from musterd_client.channel import ChannelOption, Tls, open_channel
from musterd_client.codec import EnumDecoder, server_info_from
from musterd_client.hooks import Hooks
from musterd_client.methods import CHECK_HEALTH, GET_SERVER_INFO
from musterd_client.model import HealthStatus, ServerInfo
from musterd_client.options import RunOptions, run_request
from musterd_client.retry import RetryPolicy
from musterd_client.sessions import Sessions
from musterd_client.streams import Run
from musterd_client.tasks import Tasks
from musterd_client.teams import Teams
from musterd_client.tokens import TokenProvider, TokenSource
from musterd_client.v1.agent_service_pb2 import RunAgentRequest
from musterd_client.v1.server_service_pb2 import GetServerInfoRequest
from musterd_client.v1.team_service_pb2 import RunTeamRequest
from musterd_client.v1.workflow_service_pb2 import RunWorkflowRequest
from musterd_client.workflows import Workflows

_health_status_from = EnumDecoder(health_pb2.HealthCheckResponse.ServingStatus, HealthStatus, "")


class MusterdClient:
    """Runs agents, teams and workflows on a musterd server, and looks after their tasks. Use it inside `async with`.

    Args:
        target: "host:port", "unix:/path" or "unix:///path".
        token: the bearer token, or what returns one (sync or async): it is asked again when the server says that the
            last one has expired. A token goes over the connection as it is: use TLS wherever others could listen.
        tls: encrypts the connection. Without it, and without `credentials`, the connection is plain text.
        credentials: ready-made channel credentials, in place of `tls`.
        metadata: sent with each call, for example a trace header.
        retry: how often, and after how long, to try again.
        call_timeout_seconds: longest time that a call may take with its repetitions, beside what it was asked to wait.
        stall_timeout_seconds: a stream on which not even a heartbeat came for so long counts as broken.
        channel_options: gRPC channel options, which win over the client's own.

    Each call raises a CallError when the server, or something on the way to it, refuses or breaks it; a RuntimeError
    when the client is not open, or is closed meanwhile.

    Raises:
        ValueError: `token` or `metadata` has characters that a header cannot carry.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | TokenProvider | None = None,
        tls: Tls | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        call_timeout_seconds: float = 30.0,
        stall_timeout_seconds: float = 60.0,
        channel_options: Mapping[str, ChannelOption] | None = None,
    ) -> None:
        connect = partial(open_channel, target, tls=tls, credentials=credentials, options=channel_options or {})
        self.target = target
        self._calls = Calls(
            connect,
            tokens=TokenSource(token),
            metadata=metadata or {},
            retry=retry or RetryPolicy(),
            call_timeout_seconds=call_timeout_seconds,
            stall_timeout_seconds=stall_timeout_seconds,
        )
        self.agents = Agents(self._calls)
        self.teams = Teams(self._calls)
        self.workflows = Workflows(self._calls)
        self.tasks = Tasks(self._calls)
        self.sessions = Sessions(self._calls)
        self.hooks = Hooks(self._calls)

    async def __aenter__(self) -> Self:
        self._calls.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._calls.close()

    def run_agent(self, agent_id: str, message: str = "", **options: Unpack[RunOptions]) -> Run:
        """Returns a run of the agent, which starts when it is entered or its first event is asked for.

        `async with client.run_agent("greeter", "Hi") as run:` gives `run.task` and the events; for the result alone
        there is `await client.run_agent("greeter", "Hi").result()`. RunOptions tells what else it may be given.

        Raises:
            ValueError: `factory_input` is not a JSON object, or has an integer beyond ±2^53.
        """
        return Run(self._calls, run_request(partial(RunAgentRequest, agent_id=agent_id), message, options))

    def run_team(self, team_id: str, message: str = "", **options: Unpack[RunOptions]) -> Run:
        """Returns a run of the team, as `run_agent` does. `run.task` is the leader's; its members' tasks are below it.

        The events of all of them are in the run, each with the id of its own task.

        Raises:
            ValueError: `factory_input` is not a JSON object, or has an integer beyond ±2^53.
        """
        return Run(self._calls, run_request(partial(RunTeamRequest, team_id=team_id), message, options))

    def run_workflow(self, workflow_id: str, message: str = "", **options: Unpack[RunOptions]) -> Run:
        """Returns a run of the workflow, as `run_agent` does. `factory_input` is the workflow's input.

        A step that an agent, a team or another workflow does is a task below `run.task`, with its events in the run.

        Raises:
            ValueError: `factory_input` is not a JSON object, or has an integer beyond ±2^53.
        """
        return Run(self._calls, run_request(partial(RunWorkflowRequest, workflow_id=workflow_id), message, options))

    async def server_info(self) -> ServerInfo:
        """Returns the server's version, features and limits."""
        return server_info_from(await self._calls.unary(GET_SERVER_INFO, GetServerInfoRequest()))

    async def health(self, service: str = "", *, timeout_seconds: float = 5.0) -> HealthStatus:
        """Returns what the server says of its health, or of one service's, for example musterd.v1.AgentService.

        Needs no token, is tried once, and answers for this moment alone.

        Raises:
            UnavailableError: nothing answers at the target.
            NotFoundError: the server has no such service.
        """
        request = health_pb2.HealthCheckRequest(service=service)
        response = await self._calls.public(CHECK_HEALTH, request, timeout_seconds)
        return _health_status_from(response.status)
