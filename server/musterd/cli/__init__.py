"""The command line: `musterd`. One module for each command or group of commands."""

import os
import sys
from typing import Annotated

import typer

from musterd.cli import agents, config, db, demo, health, hooks, run, serve, sessions, tasks, teams, workflows
from musterd.version import VERSION

app = typer.Typer(
    name="musterd",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(run.app, name="run")
app.add_typer(agents.app, name="agents")
app.add_typer(tasks.app, name="tasks")
app.add_typer(teams.app, name="teams")
app.add_typer(workflows.app, name="workflows")
app.add_typer(sessions.app, name="sessions")
app.add_typer(hooks.app, name="hooks")
app.add_typer(config.config, name="config")
app.add_typer(db.db, name="db")
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("health")(health.health)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def musterd(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Runs AI agents, teams and workflows for other programs."""


def main() -> None:
    """Runs the command line, and exits with its code."""
    # gRPC would write about each connection that ends.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # What the encoding of the output lacks is shown as an escape, as standard error does it.
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")
    app()
