"""Agents with subagents, whose models follow scripts."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.toolsets import FunctionToolset
from tests.support.gated_model import Gate
from tests.support.turns import Call, Turn, started_ids, taking

from musterd.subagents import SubAgentConfig, SubAgentToolset, create_subagent_toolset

RunParent = Callable[[Agent[Any, str], str], Awaitable[str]]
"""Runs an agent with a prompt to its end, and returns what it says."""

UNKNOWN = "0190c6f0-0000-7000-8000-000000000000"


def child(model: Model | None, **config: Any) -> SubAgentConfig:
    given = {"agent": Agent(model, name="worker", **config.pop("agent_arguments", {}))} if model is not None else {}
    return SubAgentConfig(name="worker", description="works", instructions="work", **given, **config)


def parent(subagents: SubAgentToolset, *turns: Turn, more: Sequence[FunctionToolset[Any]] = ()) -> Agent[Any, str]:
    return Agent(taking(*turns), name="parent", toolsets=[subagents, *more])


def over(*subagents: SubAgentConfig, **options: Any) -> SubAgentToolset:
    return create_subagent_toolset(list(subagents), include_general_purpose=False, **options)


def task(mode: str = "sync", description: str = "do it", name: str = "worker", **more: Any) -> Call:
    return "task", {"description": description, "subagent_type": name, "mode": mode, **more}


def on_last(tool: str, **arguments: Any) -> Callable[[list[ModelMessage]], Call]:
    """Return a turn that calls a tool with the id of the task that was started last."""
    return lambda messages: (tool, {"task_id": started_ids(messages)[-1], **arguments})


def wait_all(**arguments: Any) -> Callable[[list[ModelMessage]], Call]:
    return lambda messages: ("wait_tasks", {"task_ids": started_ids(messages), **arguments})


def gated(gate: Gate, *after: Turn) -> Model:
    """Return a model whose first turn waits at a gate."""
    first, *rest = after or ("done",)

    async def wait(messages: list[ModelMessage]) -> Any:
        await gate.wait()
        return first(messages) if callable(first) else first

    return taking(wait, *rest)
