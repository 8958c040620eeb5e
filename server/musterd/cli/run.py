"""`musterd run`: starts runs and shows them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.display import display_for
from musterd.cli.following import follow
from musterd.cli.given import json_object
from musterd.cli.prompting import prompter_for
from musterd.cli.rendering import print_json, stderr
from musterd_client import MusterdClient, OnDisconnect, Run, RunOptions

app = typer.Typer(no_args_is_help=True, help="Run an agent, a team or a workflow and show what it does.")

Message = Annotated[str, typer.Argument(metavar="TEXT", help="What to say to it.")]
FactoryInput = Annotated[
    str | None, typer.Option("--input", metavar="JSON", help="Its input, or that of its factory: a JSON object.")
]
User = Annotated[str, typer.Option(help="The user to run for.")]
Session = Annotated[str, typer.Option(help="The conversation that the run belongs to.")]
Background = Annotated[bool, typer.Option("--background", help="Print the task's id and leave it running.")]
RequestId = Annotated[
    str | None, typer.Option(help="Makes the command safe to repeat: the same id gives the same task.")
]
TimeoutSeconds = Annotated[float | None, typer.Option(help="Longest time that the run may take.", min=0)]
Prompt = Annotated[bool, typer.Option(help="Ask at the terminal for what the run waits for: approvals and answers.")]
WhenLeft = Annotated[OnDisconnect | None, typer.Option(case_sensitive=False, help="What becomes of the run on Ctrl-C.")]


@app.callback()
def run() -> None:
    """Run something and show what it does."""


@app.command("agent")
def run_agent(
    agent_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the agent.")],
    message: Message = "",
    factory_input: FactoryInput = None,
    user: User = "",
    session: Session = "",
    background: Background = False,
    request_id: RequestId = None,
    timeout_seconds: TimeoutSeconds = None,
    on_disconnect: WhenLeft = None,
    prompt: Prompt = True,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Run an agent and show what it does.

    Exits with 0 when the run completed, 1 when it did not, 2 when the command is wrong, and 130 on Ctrl-C.
    """
    options = _options(factory_input, user, session, background, request_id, timeout_seconds, on_disconnect)
    connection = Connection(target=target, token=token, tls=tls)
    start = partial(MusterdClient.run_agent, agent_id=agent_id, message=message, **options)
    _start(connection, start, options, prompt=prompt, as_json=as_json)


@app.command("team")
def run_team(
    team_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the team.")],
    message: Message = "",
    factory_input: FactoryInput = None,
    user: User = "",
    session: Session = "",
    background: Background = False,
    request_id: RequestId = None,
    timeout_seconds: TimeoutSeconds = None,
    on_disconnect: WhenLeft = None,
    prompt: Prompt = True,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Run a team and show what its members do.

    Exits with 0 when the run completed, 1 when it did not, 2 when the command is wrong, and 130 on Ctrl-C.
    """
    options = _options(factory_input, user, session, background, request_id, timeout_seconds, on_disconnect)
    connection = Connection(target=target, token=token, tls=tls)
    start = partial(MusterdClient.run_team, team_id=team_id, message=message, **options)
    _start(connection, start, options, prompt=prompt, as_json=as_json)


@app.command("workflow")
def run_workflow(
    workflow_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the workflow.")],
    message: Message = "",
    factory_input: FactoryInput = None,
    user: User = "",
    session: Session = "",
    background: Background = False,
    request_id: RequestId = None,
    timeout_seconds: TimeoutSeconds = None,
    on_disconnect: WhenLeft = None,
    prompt: Prompt = True,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow and show what its steps do.

    Exits with 0 when the run completed, 1 when it did not, 2 when the command is wrong, and 130 on Ctrl-C.
    """
    options = _options(factory_input, user, session, background, request_id, timeout_seconds, on_disconnect)
    connection = Connection(target=target, token=token, tls=tls)
    start = partial(MusterdClient.run_workflow, workflow_id=workflow_id, message=message, **options)
    _start(connection, start, options, prompt=prompt, as_json=as_json)


def _options(
    factory_input: str | None,
    user: str,
    session: str,
    background: bool,
    request_id: str | None,
    timeout_seconds: float | None,
    on_disconnect: OnDisconnect | None,
) -> RunOptions:
    return RunOptions(
        factory_input=None if factory_input is None else json_object(factory_input, "--input"),
        user_id=user,
        session_id=session,
        background=background,
        request_id=request_id,
        run_timeout_seconds=timeout_seconds,
        on_disconnect=on_disconnect,
    )


def _start(
    connection: Connection, start: Callable[[MusterdClient], Run], options: RunOptions, *, prompt: bool, as_json: bool
) -> None:
    """Starts the run and shows it, or its task alone when it goes on in the background."""

    async def work(client: MusterdClient) -> int:
        started = start(client)
        await _accepted(started)
        if options.get("background"):
            await started.aclose()
            _show_accepted(started, connection, as_json=as_json)
            return 0
        display = display_for(connection.options(), as_json=as_json)
        goes_on = options.get("on_disconnect") is not OnDisconnect.CANCEL
        prompter = prompter_for(client, display) if prompt and not as_json else None
        return await follow(started, display, connection, goes_on=goes_on, prompter=prompter)

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
