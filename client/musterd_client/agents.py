"""The agents of a server."""

from collections.abc import AsyncIterator

from musterd_client.calls import Calls
from musterd_client.codec import agent_from
from musterd_client.methods import GET_AGENT, LIST_AGENTS
from musterd_client.model import Agent
from musterd_client.v1.agent_service_pb2 import GetAgentRequest, ListAgentsRequest


class Agents:
    """Finds agents. Reached as `client.agents`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self, *, page_size: int = 50) -> AsyncIterator[Agent]:
        """Yields the agents that the caller may run, ordered by id, page after page."""
        page_token = ""
        while True:
            request = ListAgentsRequest(page_size=page_size, page_token=page_token)
            page = await self._calls.unary(LIST_AGENTS, request)
            for agent in page.agents:
                yield agent_from(agent)
            if not (page_token := page.next_page_token):
                return

    async def get(self, agent_id: str) -> Agent:
        """Returns one agent.

        Raises:
            NotFoundError: there is none with this id, or the caller may not run it.
        """
        response = await self._calls.unary(GET_AGENT, GetAgentRequest(agent_id=agent_id))
        return agent_from(response.agent)
