"""AgentService: finds agents and runs them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from musterd.auth import Resource
from musterd.domain.task import ComponentKind
from musterd.runtime.components.registry import Registry
from musterd.transport.catalog import Catalog
from musterd.transport.codec.components import encode_agent
from musterd.transport.running import RunStreamer
from musterd_client.v1 import agent_service_pb2 as pb2
from musterd_client.v1 import event_pb2, task_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentServicer:
    """Serves AgentService."""

    registry: Registry
    runner: RunStreamer

    @property
    def _agents(self) -> Catalog:
        return Catalog(registry=self.registry, kind=ComponentKind.AGENT, resource=Resource.AGENTS, id_field="agent_id")

    async def ListAgents(self, request: pb2.ListAgentsRequest) -> pb2.ListAgentsResponse:
        """Return a page of the agents that the caller may run."""
        page, token = self._agents.page(request, page_size=request.page_size, page_token=request.page_token)
        return pb2.ListAgentsResponse(agents=[encode_agent(info) for info in page], next_page_token=token)

    async def GetAgent(self, request: pb2.GetAgentRequest) -> pb2.GetAgentResponse:
        """Return one agent."""
        return pb2.GetAgentResponse(agent=encode_agent(self._agents.get(request.agent_id)))

    def RunAgent(self, request: pb2.RunAgentRequest) -> AsyncIterator[pb2.RunAgentResponse]:
        """Run an agent, and stream its events."""
        return self.runner.stream(request, self._agents.ref(request.agent_id), _run_response)


def _run_response(task: task_pb2.Task | None, events: Sequence[event_pb2.RunEvent]) -> pb2.RunAgentResponse:
    return pb2.RunAgentResponse(task=task, events=events)
