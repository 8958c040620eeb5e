"""`musterd agents`: finds agents."""

from collections.abc import Iterator
from typing import Annotated

import typer

from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.rendering import print_json, print_line
from musterd_client import Agent, MusterdClient

app = typer.Typer(no_args_is_help=True, help="Find agents.")


@app.command("list")
def list_agents(
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """List the agents that you may run, by id."""

    async def work(client: MusterdClient) -> int:
        async for agent in client.agents.list():
            print_json(agent) if as_json else _print_line(agent)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command("get")
def get_agent(
    agent_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the agent.")],
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Show an agent, its tools, and the input that it takes."""

    async def work(client: MusterdClient) -> int:
        agent = await client.agents.get(agent_id)
        if as_json:
            print_json(agent)
            return 0
        for line in _lines(agent):
            print_line(line)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


def _print_line(agent: Agent) -> None:
    about = "(factory)" if agent.is_factory else ", ".join(tool.name for tool in agent.tools)
    print_line(f"{agent.agent_id:<20}  {about}")


def _lines(agent: Agent) -> Iterator[str]:
    yield f"agent {agent.agent_id}{': ' if agent.description else ''}{agent.description}"
    if agent.is_factory:
        yield "  (a factory chooses its tools)"
    for tool in agent.tools:
        yield f"  {tool.name}{': ' if tool.description else ''}{tool.description}"
    if agent.input_schema_json:
        yield f"  input: {agent.input_schema_json}"
