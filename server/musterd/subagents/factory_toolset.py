"""The tools by which a model makes itself new subagents."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ToolReturn
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from musterd.subagents.descriptions import (
    CREATE_AGENT_DESCRIPTION,
    GET_AGENT_INFO_DESCRIPTION,
    LIST_AGENTS_DESCRIPTION,
    REMOVE_AGENT_DESCRIPTION,
    REPEATABLE,
)
from musterd.subagents.preparing import compile_subagent
from musterd.subagents.registry import MAX_NAME_CHARS, AgentDefinition, DynamicAgentRegistry, created, removed
from musterd.subagents.types import AgentFactory, CompiledSubAgent, SubAgentConfig, ToolsetFactory

DEFAULT_ID = "agent_factory"
MAX_AGENTS = 10
"""How many agents a registry holds for one application, or for one tree of tasks under a server."""

_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Checks what a model asks for, and makes it."""

    maker_id: str
    registry: DynamicAgentRegistry
    allowed_models: Sequence[str]
    default_model: Model | str | None
    toolsets_factory: ToolsetFactory | None
    capabilities: Mapping[str, ToolsetFactory]
    agent_factory: AgentFactory | None

    def refusal(self, wish: AgentDefinition, caller_model: str) -> str | None:
        """Return why an agent cannot be made; None when it can. What is asked first comes first."""
        return next(self._refusals(wish, caller_model), None)

    def _refusals(self, wish: AgentDefinition, caller_model: str) -> Iterator[str]:
        model = wish.model or _name_of(self.default_model) or caller_model
        unknown = [name for name in wish.capabilities if name not in self.capabilities]
        if not _NAME.fullmatch(wish.name):
            yield "Name must contain only letters, numbers, and hyphens"
        if len(wish.name) > MAX_NAME_CHARS:
            yield f"Name must have at most {MAX_NAME_CHARS} characters, not {len(wish.name)}"
        if self.registry.is_taken(wish.name):
            yield f"Agent '{wish.name}' already exists"
        if self.allowed_models and model not in self.allowed_models:
            yield f"Model '{model}' is not allowed. Use one of: {', '.join(self.allowed_models)}"
        if unknown:
            yield f"Unknown capabilities: {', '.join(unknown)}. Available: {', '.join(self.capabilities) or 'none'}"
        if wish.capabilities and self.agent_factory is not None:
            yield (
                "capabilities are not supported here: all agents are built by a factory of the application. "
                "Create the agent without capabilities."
            )
        try:
            self.registry.require_room()
        except ValueError as error:
            yield str(error)

    def make(self, definition: AgentDefinition, deps: Any) -> CompiledSubAgent:
        """Make an agent for a run with these deps."""
        toolsets: list[AbstractToolset[Any]] = []
        if self.toolsets_factory is not None:
            toolsets += self.toolsets_factory(deps)
        for name in definition.capabilities:
            toolsets += self.capabilities[name](deps)
        config = SubAgentConfig(
            name=definition.name,
            description=definition.description,
            instructions=definition.instructions,
            can_ask_questions=definition.can_ask_questions,
        )
        if (model := definition.model or self.default_model) is not None:
            config["model"] = model
        if toolsets:
            config["toolsets"] = toolsets
        if self.agent_factory is not None:
            config["agent_factory"] = self.agent_factory
        return compile_subagent(config)


def create_agent_factory_toolset(  # noqa: PLR0917 - the promised signature
    registry: DynamicAgentRegistry,
    allowed_models: Sequence[str] | None = None,
    default_model: Model | str | None = None,
    max_agents: int = MAX_AGENTS,
    toolsets_factory: ToolsetFactory | None = None,
    capabilities_map: Mapping[str, ToolsetFactory] | None = None,
    id: str | None = None,  # noqa: A002 - the promised signature
    default_agent_factory: AgentFactory | None = None,
) -> FunctionToolset[Any]:
    """Return a toolset with create_agent, list_agents, remove_agent and get_agent_info.

    A toolset of subagents with the same `registry` finds the agents by their names. `max_agents` becomes the
    registry's. `default_model` is for agents that name none; without it they use the model of whoever calls them,
    which has to be among the `allowed_models` too where those are given. `toolsets_factory` and the capabilities get
    the deps of the run that makes the agent; `default_agent_factory` builds all agents instead.
    """
    if max_agents < 0:
        raise ValueError(f"max_agents must be 0 or more, it is {max_agents}")
    registry.max_agents = max_agents
    maker = _Maker(
        maker_id=id or DEFAULT_ID,
        registry=registry,
        allowed_models=tuple(allowed_models or ()),
        default_model=default_model,
        toolsets_factory=toolsets_factory,
        capabilities=capabilities_map or {},
        agent_factory=default_agent_factory,
    )
    registry.set_maker(maker.maker_id, maker.make)
    toolset = FunctionToolset[Any](id=maker.maker_id)
    tools: tuple[tuple[Callable[..., Any], str], ...] = (
        (_create_agent_tool(maker), CREATE_AGENT_DESCRIPTION),
        (_list_agents_tool(registry), LIST_AGENTS_DESCRIPTION),
        (_remove_agent_tool(registry), REMOVE_AGENT_DESCRIPTION),
        (_get_agent_info_tool(registry), GET_AGENT_INFO_DESCRIPTION),
    )
    for tool, description in tools:
        toolset.add_function(tool, description=description.strip(), metadata=REPEATABLE)
    return toolset


def _create_agent_tool(maker: _Maker) -> Callable[..., Any]:
    async def create_agent(  # noqa: PLR0917 - the arguments of a tool have no order
        ctx: RunContext[Any],
        name: str,
        description: str,
        instructions: str,
        model: str | None = None,
        capabilities: list[str] | None = None,
        can_ask_questions: bool = True,  # noqa: FBT001, FBT002 - the promised signature
    ) -> str | ToolReturn[str]:
        """Create.

        Args:
            ctx: The run that calls.
            name: Letters, numbers and hyphens.
            description: What the agent is for, in a sentence.
            instructions: What the agent is to know and do in all its tasks.
            model: Its model; leave it out for the default.
            capabilities: Names of tool collections that it gets.
            can_ask_questions: Whether it may ask you while it works.
        """
        registry = maker.registry
        registry.recover(ctx)
        wish = AgentDefinition(
            name=name,
            description=description,
            instructions=instructions,
            maker=maker.maker_id,
            model=model,
            capabilities=tuple(capabilities or ()),
            can_ask_questions=can_ask_questions,
        )
        if (refusal := maker.refusal(wish, ctx.model.model_id)) is not None:
            return f"Error: {refusal}"
        try:
            made = registry.register_made(wish, ctx.deps)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the model is to read it
            return f"Error creating agent: {error}"
        registry.note(ctx)
        lines = [
            f"Agent '{name}' created successfully.",
            f"Model: {_name_of(made.config.get('model')) or 'default'}",
            f"Description: {description}",
            *([f"Capabilities: {', '.join(wish.capabilities)}"] if wish.capabilities else ()),
            f"Use task(description, '{name}') to delegate tasks.",
        ]
        return ToolReturn("\n".join(lines), metadata=created(wish))

    return create_agent


def _list_agents_tool(registry: DynamicAgentRegistry) -> Callable[..., Any]:
    async def list_agents(ctx: RunContext[Any]) -> str:
        registry.recover(ctx)
        return registry.get_summary()

    return list_agents


def _remove_agent_tool(registry: DynamicAgentRegistry) -> Callable[..., Any]:
    async def remove_agent(ctx: RunContext[Any], name: str) -> str | ToolReturn[str]:
        registry.recover(ctx)
        if not registry.remove(name):
            return f"Error: Agent '{name}' not found."
        registry.note(ctx)
        return ToolReturn(f"Agent '{name}' has been removed.", metadata=removed(name))

    return remove_agent


def _get_agent_info_tool(registry: DynamicAgentRegistry) -> Callable[..., Any]:
    async def get_agent_info(ctx: RunContext[Any], name: str) -> str:
        registry.recover(ctx)
        config = registry.get_config(name)
        if config is None:
            return f"Error: Agent '{name}' not found."
        return "\n".join(
            (
                f"Agent: {name}",
                f"Description: {config['description']}",
                f"Model: {_name_of(config.get('model')) or 'default'}",
                f"Can ask questions: {config.get('can_ask_questions', True)}",
                f"Instructions: {config['instructions']}",
            )
        )

    return get_agent_info


def _name_of(model: Model | str | None) -> str | None:
    return model.model_id if isinstance(model, Model) else model
