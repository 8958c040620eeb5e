"""What `musterd demo` shows: a server, an agent, a team and a client in one process, over real sockets, with no key."""

import tempfile
from pathlib import Path

import typer

from musterd.app import Service
from musterd.cli.demo_app import answer, demo_app
from musterd.cli.rendering import stdout, usage_line
from musterd.cli.tree import in_order, new_tree, tree_of
from musterd.cli.tree_events import with_event
from musterd.cli.tree_rendering import plain_lines
from musterd.settings import Settings
from musterd.testing.model import FakeModel
from musterd_client import (
    Event,
    ModelRequestCompleted,
    MusterdClient,
    Run,
    SubtaskEnded,
    SubtaskStarted,
    TaskCompleted,
    TextDelta,
    ThinkingDelta,
    ToolCallCompleted,
    ToolCallStarted,
)


async def run_demo() -> None:
    """Serve the app on SQLite, run its agent and its team over gRPC, and print the events as they come."""
    with tempfile.TemporaryDirectory(prefix="musterd-demo-") as folder:
        async with FakeModel(answer) as model:
            settings = Settings.model_validate(
                {
                    "server": {"listen": "127.0.0.1:0", "shutdown_grace_seconds": 0},
                    "store": {"url": f"sqlite:///{Path(folder) / 'demo.db'}"},
                }
            )
            service = Service(demo_app(model.as_model()), settings)
            await service.start()
            try:
                await show_runs(f"127.0.0.1:{service.tcp_port}")
            finally:
                await service.stop()


async def show_runs(target: str) -> None:
    """Run the agent and the team as any client would, then look at the finished tasks."""
    typer.echo(f"A server listens on {target}; its tasks are in SQLite. A client runs the agent 'shop':\n")
    async with MusterdClient(target) as client:
        await show_run(client, client.run_agent("shop", "It rains. What do you have?", user_id="demo"))
        typer.echo("\nNow it runs the team 'advisers'. Each member's turn is a task of its own:\n")
        await show_run(client, client.run_team("advisers", "What do I wear tomorrow?", user_id="demo"))


async def show_run(client: MusterdClient, started: Run) -> None:
    """Print a run's events, each with the name of its task, and how its tasks stand in the end."""
    async with started as run:
        tree = new_tree(run.task)
        async for event in run:
            tree = with_event(tree, event)
            name = tree.rows[event.task_id].name
            typer.echo(f"{event.sequence:>4}  {name:<12}{event.kind:<26}{describe(event)}".rstrip())
    task = await client.tasks.status(run.task.task_id)
    typer.echo(f"\ntask {task.task_id} is {task.state}; its log has {task.last_sequence} events.")
    below = [each async for each in client.tasks.list(root_task_id=task.task_id)]
    if len(below) > 1:
        typer.echo("\n".join(plain_lines(in_order(tree_of(task, below)), stdout())))


def describe(event: Event) -> str:
    """Return what an event says beside its kind, in one line."""
    match event:
        case TextDelta(text=said) | ThinkingDelta(text=said):
            return repr(said)
        case ToolCallStarted():
            return f"{event.tool_name}({event.arguments_json})"
        case ToolCallCompleted():
            return f"{event.tool_name} -> {event.result_json}"
        case SubtaskStarted(subtask=child, description=about) | SubtaskEnded(subtask=child, state=about):
            return f"{child.id}: {about}"
        case ModelRequestCompleted() | TaskCompleted():
            return usage_line(event.usage)
        case _:
            return ""
