"""`musterd teams`: finds teams, and takes part in the work of those that run."""

from typing import Annotated

import typer

from musterd.cli.boards import print_board, print_team_line
from musterd.cli.connection import DEFAULT_TARGET, AsJson, Connection, Target, TlsRoots, Token, perform
from musterd.cli.rendering import print_json
from musterd_client import MusterdClient

app = typer.Typer(no_args_is_help=True, help="Find teams, and take part in the work of those that run.")

TaskId = Annotated[str, typer.Argument(metavar="ID", help="Id of the team's task.")]
RequestId = Annotated[str | None, typer.Option(help="Makes the command safe to repeat.")]


@app.command("list")
def list_teams(
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """List the teams that you may run, by id."""

    async def work(client: MusterdClient) -> int:
        async for team in client.teams.list():
            print_json(team) if as_json else print_team_line(team)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def board(
    task_id: TaskId,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Show what the members of a team share: who works on what, todos, and messages."""

    async def work(client: MusterdClient) -> int:
        found = await client.teams.board(task_id)
        print_json(found) if as_json else print_board(found)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command("add-todo")
def add_todo(
    task_id: TaskId,
    content: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be done.")],
    blocked_by: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="An item that must be completed first. May be repeated.")
    ] = None,
    request_id: RequestId = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Put an item on the todo list of a running team, and print its id."""

    async def work(client: MusterdClient) -> int:
        todo = await client.teams.add_todo(task_id, content, blocked_by=blocked_by or (), request_id=request_id)
        print_json(todo) if as_json else typer.echo(todo.todo_id)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)


@app.command()
def message(
    task_id: TaskId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message.")],
    to: Annotated[str, typer.Option(metavar="NAME", help="A member, or leader. Without it, all of them.")] = "",
    request_id: RequestId = None,
    target: Target = DEFAULT_TARGET,
    token: Token = None,
    tls: TlsRoots = None,
    as_json: AsJson = False,
) -> None:
    """Send a message within a running team, and print its id."""

    async def work(client: MusterdClient) -> int:
        sent = await client.teams.send_message(task_id, text, receiver=to, request_id=request_id)
        print_json(sent) if as_json else typer.echo(sent.message_id)
        return 0

    perform(Connection(target=target, token=token, tls=tls), work)
