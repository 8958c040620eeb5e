"""What `musterd demo` shows: a server, an agent and a client in one process, over real sockets, without any key."""

import tempfile
from pathlib import Path

import typer
from pydantic_ai import Agent
from pydantic_ai.models import Model

from musterd.app import Musterd, Service
from musterd.cli.rendering import usage_line
from musterd.domain.context import RequestContext
from musterd.runtime.components.definitions import AgentFactory
from musterd.settings import Settings
from musterd.testing.model import ChatRequest, FakeModel, Turn, call, text, usage
from musterd_client import (
    Event,
    ModelRequestCompleted,
    MusterdClient,
    TaskCompleted,
    TextDelta,
    ThinkingDelta,
    ToolCallCompleted,
    ToolCallStarted,
)

STOCK = {"umbrella": 12, "raincoat": 0}


def demo_app(model: Model) -> Musterd:
    """Return an app with one agent, which looks up the stock of a shop."""

    async def stock(item: str) -> int:
        """Tell how many of an item are in stock."""
        return STOCK.get(item, 0)

    def build(context: RequestContext) -> Agent[RequestContext, str]:
        return Agent(
            model,
            deps_type=RequestContext,
            tools=[stock],
            instructions=f"You sell rainwear to {context.user_id}.",
        )

    return Musterd(agents=[AgentFactory("shop", build, description="Answers for a shop that sells rainwear.")])


def answer(request: ChatRequest) -> Turn:
    """Play the model: look up both items, then say what there is."""
    if not request.tool_results:
        calls = call("stock", {"item": "umbrella"}, id="one", chunks=3) + call("stock", {"item": "raincoat"}, id="two")
        return text("Let me look. ") + calls + usage(40, 12)
    umbrellas, raincoats = request.tool_results["one"], request.tool_results["two"]
    said = f"There are {umbrellas} umbrellas, and {raincoats} raincoats: take an umbrella."
    return text(said, chunks=8) + usage(60, 18)


async def run_demo() -> None:
    """Serve the app on SQLite, run its agent over gRPC, and print the events as they come."""
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
                await show_run(f"127.0.0.1:{service.tcp_port}")
            finally:
                await service.stop()


async def show_run(target: str) -> None:
    """Run the agent as any client would, then look at the finished task."""
    typer.echo(f"A server listens on {target}; its tasks are in SQLite. A client runs the agent 'shop':\n")
    async with MusterdClient(target) as client:
        async with client.run_agent("shop", "It rains. What do you have?", user_id="demo") as run:
            async for event in run:
                typer.echo(f"{event.sequence:>4}  {event.kind:<26}{describe(event)}")
        task = await client.tasks.status(run.task.task_id)
        typer.echo(f"\ntask {task.task_id} is {task.state}; its log has {task.last_sequence} events.")


def describe(event: Event) -> str:
    """Return what an event says beside its kind, in one line."""
    match event:
        case TextDelta(text=said) | ThinkingDelta(text=said):
            return repr(said)
        case ToolCallStarted():
            return f"{event.tool_name}({event.arguments_json})"
        case ToolCallCompleted():
            return f"{event.tool_name} -> {event.result_json}"
        case ModelRequestCompleted() | TaskCompleted():
            return usage_line(event.usage)
        case _:
            return ""
