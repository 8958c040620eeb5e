"""Runs a component and streams what happens: the same for every kind of component."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from musterd.auth import acting_user, snapshot
from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError
from musterd.domain.event import Event
from musterd.domain.orders import CancelOrder
from musterd.domain.principal import Viewer
from musterd.domain.task import ComponentRef
from musterd.runtime.feed.streams import Batches, Streams, StreamScope
from musterd.runtime.runs import RunRequest, Runs, Started
from musterd.runtime.tasks import Tasks
from musterd.transport.call import Call, current_call
from musterd.transport.codec import requests as decode
from musterd.transport.streaming import MakeResponse, encode_stream
from musterd_client.v1 import run_pb2
from musterd_client.v1.agent_service_pb2 import RunAgentRequest
from musterd_client.v1.team_service_pb2 import RunTeamRequest
from musterd_client.v1.workflow_service_pb2 import RunWorkflowRequest

ON_DISCONNECT = tuple(run_pb2.OnDisconnect.values())

R = TypeVar("R", bound=Message)
RunMessage = RunAgentRequest | RunTeamRequest | RunWorkflowRequest
"""The requests to run something. They have the same fields, but for the one that names the component."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStreamer:
    """Starts runs and streams them to their callers."""

    runs: Runs
    tasks: Tasks
    streams: Streams
    clock: Clock

    async def stream(self, request: RunMessage, ref: ComponentRef, make_response: MakeResponse[R]) -> AsyncIterator[R]:
        """Run a component, and yield the task and then its events. A dropped stream cancels the run if that is asked.

        Raises MusterdError when the run is refused, and those of a stream.
        """
        call = current_call()
        cancels = decode.enum_number("on_disconnect", request.on_disconnect, ON_DISCONNECT)
        started = await self.runs.start(self._run_request(request, ref, call))
        # Who asked for the background wants no more than the task, and may go.
        is_dropped = not request.background
        try:
            ready, batches = (), None
            if not request.background:
                ready, batches = await self._follow(started, call)
            async for response in encode_stream(started.task, ready, batches, make_response):
                yield response
            is_dropped = False
        except MusterdError:
            is_dropped = False
            raise
        finally:
            self.streams.close(started.follower)
            if is_dropped and cancels == run_pb2.ON_DISCONNECT_CANCEL and not self.streams.are_over:
                await self._cancel_dropped(started, call)

    async def _follow(self, started: Started, call: Call) -> tuple[Sequence[Event], Batches]:
        scope = StreamScope(started.task, (), until_tree=False)
        stream = self.streams.open(started.follower, scope, call.principal.expires_at)
        if started.is_new:
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
        task = started.task
        owner = Viewer(tenant_id=task.tenant_id, user_id=task.user_id)
        await self.tasks.cancel(owner, task.task_id, order, None)

    def _run_request(self, request: RunMessage, ref: ComponentRef, call: Call) -> RunRequest:
        principal = call.principal
        user_id, session_id = acting_user(
            principal,
            decode.optional_id("user_id", request.user_id),
            decode.optional_id("session_id", request.session_id),
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
