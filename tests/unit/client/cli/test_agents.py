import json
from collections.abc import Callable

from tests.unit.client.scripted import ScriptedServer
from typer.testing import Result

from musterd.version import VERSION
from musterd_client.v1.agent_service_pb2 import GetAgentResponse, ListAgentsResponse
from musterd_client.v1.component_pb2 import Agent, Tool

Musterd = Callable[..., Result]

CLERK = Agent(
    agent_id="clerk",
    name="clerk",
    description="looks after accounts",
    tools=[Tool(name="close_account", description="Close an account."), Tool(name="pay")],
)
MADE = Agent(agent_id="made", is_factory=True, input_schema_json='{"type": "object"}')


def test_agents_are_listed_a_line_each(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """C8."""
    for _ in range(2):
        server_in_thread.will("ListAgents", ListAgentsResponse(agents=[CLERK, MADE]))

    assert musterd("agents", "list").stdout.splitlines() == [
        f"{'clerk':<20}  close_account, pay",
        f"{'made':<20}  (factory)",
    ]
    lines = musterd("agents", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["is_factory"] for line in lines] == [False, True]


def test_an_agent_is_shown_with_its_tools(musterd: Musterd, server_in_thread: ScriptedServer) -> None:
    """C8."""
    for agent in (CLERK, MADE, CLERK):
        server_in_thread.will("GetAgent", GetAgentResponse(agent=agent))

    shown = musterd("agents", "get", "clerk").stdout
    assert [line.split(":")[0] for line in shown.splitlines()] == ["agent clerk", "  close_account", "  pay"]
    assert musterd("agents", "get", "made").stdout.splitlines() == [
        "agent made",
        "  (a factory chooses its tools)",
        '  input: {"type": "object"}',
    ]
    assert json.loads(musterd("agents", "get", "clerk", "--json").stdout)["agent_id"] == "clerk"


def test_the_version_is_printed(musterd: Musterd) -> None:
    """C8: what `ServerInfo` says of a server."""
    assert musterd("--version").stdout.strip() == VERSION
