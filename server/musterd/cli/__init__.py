"""The command line: `musterd`. One module for each command or group of commands."""

import os

import typer

from musterd.cli import config, db, demo, health, hooks, run, serve, sessions, tasks, teams, workflows

app = typer.Typer(
    name="musterd",
    help="Runs AI agents, teams and workflows for other programs.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(run.app, name="run")
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


def main() -> None:
    """Runs the command line, and exits with its code."""
    # gRPC would write about each connection that ends.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    app()
