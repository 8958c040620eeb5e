"""A real grpc.aio server that answers as a script says, and remembers what it was asked."""
# ruff: noqa: N802 - the methods have the names of their RPCs
# pyright: reportUnknownMemberType=false
# The generated servicers and grpc_status have no types.

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # pyright: ignore[reportMissingTypeStubs]
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from musterd_client.v1 import (
    agent_service_pb2_grpc,
    hook_service_pb2_grpc,
    server_service_pb2_grpc,
    session_service_pb2_grpc,
    task_service_pb2_grpc,
    team_service_pb2_grpc,
    workflow_service_pb2_grpc,
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Ends the call with a status; with a reason it is one of musterd's own."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    reason: str = ""
    message: str = "refused"
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    details: tuple[Message, ...] = ()


class Hang:
    """Keeps the call open, and silent, until the client drops it."""


@dataclass(frozen=True)
class Gate:
    """Keeps the call open, and silent, until it is opened."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Opens:
    """Opens a gate at which another call waits."""

    gate: Gate


@dataclass(frozen=True)
class Asked:
    """One call that came in."""

    method: str
    request: Any
    metadata: Mapping[str, str]


Item = Message | Refusal | Hang | Gate | Opens


class ScriptedServer:
    """Answers the n-th call of a method by the n-th script given for it; a call without a script is UNIMPLEMENTED.

    Listens on the unix socket; with credentials, on a port of 127.0.0.1 with TLS.
    `hanging` is set once a call hangs, and `dropped` once a client has dropped it.
    """

    def __init__(self, socket: Path | None = None, credentials: grpc.ServerCredentials | None = None) -> None:
        self.asked: list[Asked] = []
        self.hanging = asyncio.Event()
        self.dropped = asyncio.Event()
        self._scripts: defaultdict[str, list[tuple[Item, ...]]] = defaultdict(list)
        self._server = grpc.aio.server()
        servicer = _Servicer(self)
        agent_service_pb2_grpc.add_AgentServiceServicer_to_server(servicer, self._server)
        team_service_pb2_grpc.add_TeamServiceServicer_to_server(servicer, self._server)
        workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(servicer, self._server)
        task_service_pb2_grpc.add_TaskServiceServicer_to_server(servicer, self._server)
        session_service_pb2_grpc.add_SessionServiceServicer_to_server(servicer, self._server)
        hook_service_pb2_grpc.add_HookServiceServicer_to_server(servicer, self._server)
        server_service_pb2_grpc.add_ServerServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)
        if credentials is not None:
            self.target = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"
        else:
            self.target = f"unix:{socket}"
            self._server.add_insecure_port(self.target)

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.stop(None)

    def will(self, method: str, *script: Item) -> None:
        """Adds what the next call of the method is answered with."""
        self._scripts[method].append(script)

    def requests(self, method: str) -> list[Any]:
        """The requests of a method's calls so far."""
        return [asked.request for asked in self.asked if asked.method == method]

    def tokens(self) -> list[str]:
        """What each call so far brought as authorization."""
        return [asked.metadata.get("authorization", "") for asked in self.asked]

    async def play(self, method: str, request: Message, context: Any) -> AsyncIterator[Message]:
        """Yields the messages of the script for this call, and does the rest of what it says."""
        self.asked.append(Asked(method, request, dict(context.invocation_metadata())))
        if not self._scripts[method]:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"no script for {method}")
        for item in self._scripts[method].pop(0):
            match item:
                case Message():
                    yield item
                case Refusal():
                    await _refuse(item, context)
                case Gate():
                    await item.opened.wait()
                case Opens():
                    item.gate.opened.set()
                case Hang():
                    self.hanging.set()
                    try:
                        await asyncio.Event().wait()
                    finally:
                        self.dropped.set()

    async def answer(self, method: str, request: Message, context: Any) -> Message:
        """Returns the first message of the script for this call."""
        return await anext(self.play(method, request, context))


async def _refuse(refusal: Refusal, context: Any) -> None:
    details: list[AnyMessage] = []
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain="musterd", metadata=refusal.metadata)
    for message in (info, *refusal.details) if refusal.reason else refusal.details:
        detail = AnyMessage()
        detail.Pack(message)
        details.append(detail)
    if not details:
        await context.abort(refusal.code, refusal.message)
    status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message, details=details)
    await context.abort_with_status(rpc_status.to_status(status))


class _Servicer(
    agent_service_pb2_grpc.AgentServiceServicer,
    team_service_pb2_grpc.TeamServiceServicer,
    workflow_service_pb2_grpc.WorkflowServiceServicer,
    task_service_pb2_grpc.TaskServiceServicer,
    session_service_pb2_grpc.SessionServiceServicer,
    hook_service_pb2_grpc.HookServiceServicer,
    server_service_pb2_grpc.ServerServiceServicer,
    health_pb2_grpc.HealthServicer,
):
    def __init__(self, script: ScriptedServer) -> None:
        self._script = script

    async def ListAgents(self, request: Message, context: Any) -> Message:
        return await self._script.answer("ListAgents", request, context)

    async def GetAgent(self, request: Message, context: Any) -> Message:
        return await self._script.answer("GetAgent", request, context)

    async def ListTeams(self, request: Message, context: Any) -> Message:
        return await self._script.answer("ListTeams", request, context)

    async def GetTeam(self, request: Message, context: Any) -> Message:
        return await self._script.answer("GetTeam", request, context)

    async def GetTeamBoard(self, request: Message, context: Any) -> Message:
        return await self._script.answer("GetTeamBoard", request, context)

    async def AddTodo(self, request: Message, context: Any) -> Message:
        return await self._script.answer("AddTodo", request, context)

    async def SendTeamMessage(self, request: Message, context: Any) -> Message:
        return await self._script.answer("SendTeamMessage", request, context)

    async def TaskStatus(self, request: Message, context: Any) -> Message:
        return await self._script.answer("TaskStatus", request, context)

    async def ListTasks(self, request: Message, context: Any) -> Message:
        return await self._script.answer("ListTasks", request, context)

    async def WaitTasks(self, request: Message, context: Any) -> Message:
        return await self._script.answer("WaitTasks", request, context)

    async def CancelTask(self, request: Message, context: Any) -> Message:
        return await self._script.answer("CancelTask", request, context)

    async def SteerTask(self, request: Message, context: Any) -> Message:
        return await self._script.answer("SteerTask", request, context)

    async def AnswerTask(self, request: Message, context: Any) -> Message:
        return await self._script.answer("AnswerTask", request, context)

    async def ResolveTask(self, request: Message, context: Any) -> Message:
        return await self._script.answer("ResolveTask", request, context)

    async def ListWorkflows(self, request: Message, context: Any) -> Message:
        return await self._script.answer("ListWorkflows", request, context)

    async def GetWorkflow(self, request: Message, context: Any) -> Message:
        return await self._script.answer("GetWorkflow", request, context)

    async def ListSessions(self, request: Message, context: Any) -> Message:
        return await self._script.answer("ListSessions", request, context)

    async def GetSession(self, request: Message, context: Any) -> Message:
        return await self._script.answer("GetSession", request, context)

    async def DeleteSession(self, request: Message, context: Any) -> Message:
        return await self._script.answer("DeleteSession", request, context)

    async def ListHookRuns(self, request: Message, context: Any) -> Message:
        return await self._script.answer("ListHookRuns", request, context)

    async def RetryHookRun(self, request: Message, context: Any) -> Message:
        return await self._script.answer("RetryHookRun", request, context)

    async def GetServerInfo(self, request: Message, context: Any) -> Message:
        return await self._script.answer("GetServerInfo", request, context)

    async def Check(self, request: Message, context: Any) -> Message:
        return await self._script.answer("Check", request, context)

    async def RunAgent(self, request: Message, context: Any) -> AsyncIterator[Message]:
        async for message in self._script.play("RunAgent", request, context):
            yield message

    async def RunTeam(self, request: Message, context: Any) -> AsyncIterator[Message]:
        async for message in self._script.play("RunTeam", request, context):
            yield message

    async def RunWorkflow(self, request: Message, context: Any) -> AsyncIterator[Message]:
        async for message in self._script.play("RunWorkflow", request, context):
            yield message

    async def WatchTask(self, request: Message, context: Any) -> AsyncIterator[Message]:
        async for message in self._script.play("WatchTask", request, context):
            yield message
