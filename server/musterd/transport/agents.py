"""AgentService: finds agents and runs them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from musterd.auth import Action, Resource, acting_user, allows, snapshot, viewer_of
from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError
from musterd.domain.event import Event
from musterd.domain.ports import CancelOrder
from musterd.domain.principal import Viewer
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.runtime.components.registry import ComponentInfo, Registry
from musterd.runtime.feed.streams import Batches, Streams, StreamScope
from musterd.runtime.runs import RunRequest, Runs, Started
from musterd.runtime.tasks import Tasks
from musterd.transport.call import Call, current_call
from musterd.transport.codec import requests as decode
from musterd.transport.paging import PageScope
from musterd.transport.streaming import encode_stream
from musterd_client.v1 import agent_service_pb2 as pb2
from musterd_client.v1 import component_pb2, event_pb2, run_pb2, task_pb2

ON_DISCONNECT = tuple(run_pb2.OnDisconnect.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentServicer:
    """Serves AgentService."""

    registry: Registry
    runs: Runs
    tasks: Tasks
    streams: Streams
    clock: Clock

    async def ListAgents(self, request: pb2.ListAgentsRequest) -> pb2.ListAgentsResponse:
        """Return a page of the agents that the caller may run."""
        call = current_call()
        size = decode.page_size(request.page_size)
        scope = PageScope.of(request, viewer_of(call.principal), call.method)
        position = scope.position(request.page_token, 1)
        infos = [
            info
            for info in self.registry.list(ComponentKind.AGENT)
            if allows(call.principal.scopes, Resource.AGENTS, Action.RUN, info.ref.id)
            and (position is None or info.ref.id > position[0])
        ]
        page = infos[:size]
        token = scope.token(page[-1].ref.id) if len(infos) > size else ""
        return pb2.ListAgentsResponse(agents=[_encode_agent(info) for info in page], next_page_token=token)

    async def GetAgent(self, request: pb2.GetAgentRequest) -> pb2.GetAgentResponse:
        """Return one agent."""
        ref = _agent_ref(request.agent_id)
        current_call().check_component(ref.id)
        return pb2.GetAgentResponse(agent=_encode_agent(self.registry.find(ref).info))

    async def RunAgent(self, request: pb2.RunAgentRequest) -> AsyncIterator[pb2.RunAgentResponse]:
        """Run an agent, and stream its events."""
        call = current_call()
        ref = _agent_ref(request.agent_id)
        current_call().check_component(ref.id)
        cancels = decode.enum_number("on_disconnect", request.on_disconnect, ON_DISCONNECT)
        started = await self.runs.start(self._run_request(request, ref, call))
        is_dropped = True
        try:
            ready, batches = (), None
            if not request.background:
                ready, batches = await self._follow(started, call)
            async for response in encode_stream(started.created.task, ready, batches, _run_response):
                yield response
            is_dropped = False
        except MusterdError:
            is_dropped = False
            raise
        finally:
            self.streams.close(started.follower)
            if is_dropped and cancels == run_pb2.ON_DISCONNECT_CANCEL:
                await self._cancel_dropped(started, call)

    async def _follow(self, started: Started, call: Call) -> tuple[Sequence[Event], Batches]:
        scope = StreamScope(started.created.task, (), until_tree=False)
        stream = self.streams.open(started.follower, scope, call.principal.expires_at)
        if started.created.is_new:
            return await stream.ready(), stream.live()
        return (), stream.replayed()

    async def _cancel_dropped(self, started: Started, call: Call) -> None:
        order = CancelOrder(
            hard=False,
            grace_seconds=0.0,
            reason="the client dropped its stream",
            cascade=True,
            user_id=call.principal.user_id,
        )
        task = started.created.task
        owner = Viewer(tenant_id=task.tenant_id, user_id=task.user_id)
        await self.tasks.cancel(owner, task.task_id, order, None)

    def _run_request(self, request: pb2.RunAgentRequest, ref: ComponentRef, call: Call) -> RunRequest:
        principal = call.principal
        user_id, session_id = acting_user(
            principal,
            decode.bounded_text("user_id", request.user_id, decode.MAX_ID_CHARS),
            decode.bounded_text("session_id", request.session_id, decode.MAX_ID_CHARS),
        )
        return RunRequest(
            component=ref,
            identity=snapshot(principal, user_id, self.clock.now()),
            session_id=session_id,
            message=request.message,
            parts=decode.parts(request.parts),
            factory_input=decode.factory_input(request.factory_input),
            request=decode.request_key(request, tenant_id=principal.tenant_id, user_id=user_id, method=call.method),
            run_timeout_seconds=decode.optional_seconds(request, "run_timeout"),
            usage_limits=decode.usage_limits(request.usage_limits),
            priority=decode.priority(request.priority),
            labels=decode.labels(request.metadata),
            caller_metadata=call.metadata,
        )


def _run_response(task: task_pb2.Task | None, events: Sequence[event_pb2.RunEvent]) -> pb2.RunAgentResponse:
    return pb2.RunAgentResponse(task=task, events=events)


def _agent_ref(agent_id: str) -> ComponentRef:
    return ComponentRef(kind=ComponentKind.AGENT, id=decode.required_id("agent_id", agent_id))


def _encode_agent(info: ComponentInfo) -> component_pb2.Agent:
    return component_pb2.Agent(
        agent_id=info.ref.id,
        name=info.name,
        description=info.description,
        is_factory=info.is_factory,
        input_schema_json=info.input_schema_json,
        tools=[
            component_pb2.Tool(
                name=tool.name, description=tool.description, parameters_schema_json=tool.parameters_schema_json
            )
            for tool in info.tools
        ],
    )
