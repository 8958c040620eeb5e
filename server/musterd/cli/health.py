"""`musterd health`: asks a server whether it is well."""

from typing import Annotated

import typer

from musterd.cli.connection import DEFAULT_TARGET, Connection, Target, TlsRoots, perform
from musterd_client import HealthStatus, MusterdClient


def health(
    service: Annotated[str, typer.Option(help="Ask for one service, for example musterd.v1.AgentService.")] = "",
    timeout_seconds: Annotated[float, typer.Option(min=0, help="Longest time to wait for the answer.")] = 5,
    target: Target = DEFAULT_TARGET,
    tls: TlsRoots = None,
) -> None:
    """Ask the server for its health. Exits with 0 when it serves, else with 1. Needs no token."""

    async def work(client: MusterdClient) -> int:
        status = await client.health(service, timeout_seconds=timeout_seconds)
        typer.echo(status)
        return 0 if status is HealthStatus.SERVING else 1

    perform(Connection(target=target, tls=tls), work)
