"""`musterd run`: starts runs and shows them."""

import asyncio
import json
from typing import Annotated, cast

import typer

from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.display import JsonLines, Transcript
from musterd.cli.following import follow
from musterd.cli.rendering import print_json, stderr
from musterd_client import MusterdClient, OnDisconnect, Run

app = typer.Typer(no_args_is_help=True, help="Run an agent and show what it does.")


@app.callback()
def run() -> None:
    """Run something and show what it does."""


@app.command("agent")
def run_agent(
    agent_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the agent.")],
    message: Annotated[str, typer.Argument(metavar="TEXT", help="What to say to it.")] = "",
    factory_input: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="Input of the agent's factory: a JSON object.")
    ] = None,
    user: Annotated[str, typer.Option(help="The user to run for.")] = "",
    session: Annotated[str, typer.Option(help="The conversation that the run belongs to.")] = "",
    background: Annotated[bool, typer.Option("--background", help="Print the task's id and leave it running.")] = False,
    request_id: Annotated[
        str | None, typer.Option(help="Makes the command safe to repeat: the same id gives the same task.")
    ] = None,
    timeout_seconds: Annotated[float | None, typer.Option(help="Longest time that the run may take.", min=0)] = None,
    on_disconnect: Annotated[
        OnDisconnect | None, typer.Option(case_sensitive=False, help="What becomes of the run on Ctrl-C.")
    ] = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Run an agent and show what it does.

    Exits with 0 when the run completed, 1 when it did not, 2 when the command is wrong, and 130 on Ctrl-C.
    """
    connection = Connection(target=target, token=token, tls=tls)
    parsed_input = None if factory_input is None else _json_object(factory_input)

    async def work(client: MusterdClient) -> int:
        started = client.run_agent(
            agent_id,
            message,
            session_id=session,
            user_id=user,
            factory_input=parsed_input,
            background=background,
            request_id=request_id,
            run_timeout_seconds=timeout_seconds,
            on_disconnect=on_disconnect,
        )
        await _accepted(started)
        if background:
            await started.aclose()
            _show_accepted(started, connection, as_json=as_json)
            return 0
        display = JsonLines() if as_json else Transcript()
        return await follow(started, display, connection, goes_on=on_disconnect is not OnDisconnect.CANCEL)

    perform(connection, work)


async def _accepted(started: Run) -> None:
    try:
        await started.start()
    except asyncio.CancelledError:
        stderr().print(
            f"Interrupted before the server answered; it may have accepted the run. Repeat the command with"
            f" --request-id {started.request_id} to get to it.",
            markup=False,
        )
        raise


def _show_accepted(started: Run, connection: Connection, *, as_json: bool) -> None:
    if as_json:
        print_json(started.task)
    else:
        typer.echo(started.task.task_id)
        again = f"musterd tasks watch {started.task.task_id}{connection.options()}"
        stderr().print(f"Watch it with: {again}", markup=False)


def _json_object(text: str) -> dict[str, object]:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--input") from error
    if not isinstance(value, dict):
        raise typer.BadParameter("not a JSON object", param_hint="--input")
    return cast("dict[str, object]", value)
