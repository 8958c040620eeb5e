"""Agents that are made while others run."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelRequest, ToolReturnPart

from musterd.subagents.scope import keep_scoped, registry_scope
from musterd.subagents.types import CompiledSubAgent, SubAgentConfig

logger = logging.getLogger(__name__)

AGENTS_CREATED = "musterd_agents_created"
AGENTS_CREATED_FOR_RUN = "musterd_agents_created_for_run"
AGENTS_REMOVED = "musterd_agents_removed"

MAX_NAME_CHARS = 128
"""How long a name may be that a model gives to an agent: no id in a call of a client may be longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDefinition:
    """What an agent was made from, so that it can be made again. `maker` names the toolset that makes it."""

    name: str
    description: str
    instructions: str
    maker: str
    model: str | None = None
    capabilities: tuple[str, ...] = ()
    can_ask_questions: bool = True


_definition = TypeAdapter(AgentDefinition)


def created(*definitions: AgentDefinition, for_run: bool = False) -> dict[str, Any]:
    """Return the metadata of a tool call that made agents, by which `recover` makes them again.

    Agents `for_run` are not there in later runs of the same conversation.
    """
    key = AGENTS_CREATED_FOR_RUN if for_run else AGENTS_CREATED
    return {key: [_definition.dump_python(each, mode="json") for each in definitions]}


def removed(*names: str) -> dict[str, Any]:
    """Return the metadata of a tool call that removed agents."""
    return {AGENTS_REMOVED: list(names)}


Maker = Callable[[AgentDefinition, Any], CompiledSubAgent]
"""Makes an agent from its definition and the deps of the run that has it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    compiled: CompiledSubAgent
    definition: AgentDefinition | None = None


@dataclass(slots=True)
class _Names:
    entries: dict[str, _Entry] = field(default_factory=dict[str, _Entry])
    applied: set[tuple[str | None, str]] = field(default_factory=set[tuple[str | None, str]])


class DynamicAgentRegistry:
    """The agents that were made, by name; `max_agents` None means any number.

    Under a server each tree of tasks sees its own agents, and those that the application registers outside of any run.
    """

    def __init__(self, max_agents: int | None = None) -> None:
        self.max_agents = max_agents
        self._scopes: dict[str, _Names] = {}
        self._makers: dict[str, Maker] = {}
        self._reserved: set[str] = set()
        keep_scoped(self)

    def register(self, config: SubAgentConfig, agent: Any, definition: AgentDefinition | None = None) -> None:
        """Add an agent. Raises ValueError when the name is taken, or as many agents are there as may."""
        name = config["name"]
        if self.is_taken(name):
            raise ValueError(f"Agent '{name}' already exists")
        self.require_room()
        compiled = CompiledSubAgent(name=name, description=config["description"], config=config, agent=agent)
        self._own().entries[name] = _Entry(compiled=compiled, definition=definition)

    def reserve(self, names: Iterable[str]) -> None:
        """Keep names for the subagents that a toolset has without this registry: no agent can be added under them."""
        self._reserved.update(names)

    def is_taken(self, name: str) -> bool:
        """Whether no agent can be added under this name."""
        return name in self._reserved or self.exists(name)

    def require_room(self) -> None:
        """Raise ValueError when as many agents are there as may."""
        if self.max_agents is not None and self.count() >= self.max_agents:
            raise ValueError(
                f"Maximum number of agents ({self.max_agents}) reached. Remove an agent before creating a new one."
            )

    def get(self, name: str) -> Any | None:
        """Return an agent; None when there is none of this name."""
        compiled = self.get_compiled(name)
        return None if compiled is None else compiled.agent

    def get_config(self, name: str) -> SubAgentConfig | None:
        """Return an agent's config; None when there is none of this name."""
        compiled = self.get_compiled(name)
        return None if compiled is None else compiled.config

    def get_compiled(self, name: str) -> CompiledSubAgent | None:
        """Return an agent with its config; None when there is none of this name."""
        entry = self._visible().get(name)
        return None if entry is None else entry.compiled

    def get_definition(self, name: str) -> AgentDefinition | None:
        """Return what an agent was made from; None when there is none, or it was registered ready-made."""
        entry = self._visible().get(name)
        return None if entry is None else entry.definition

    def remove(self, name: str) -> bool:
        """Remove an agent. Returns False when there is none that this run may remove."""
        return self._own().entries.pop(name, None) is not None

    def list_agents(self) -> list[str]:
        """Return all names, oldest first."""
        return list(self._visible())

    def list_configs(self) -> list[SubAgentConfig]:
        """Return all configs, oldest first."""
        return [compiled.config for compiled in self.list_compiled()]

    def list_compiled(self) -> list[CompiledSubAgent]:
        """Return all agents with their configs, oldest first."""
        return [entry.compiled for entry in self._visible().values()]

    def exists(self, name: str) -> bool:
        """Whether there is an agent of this name."""
        return name in self._visible()

    def count(self) -> int:
        """Return how many agents there are."""
        return len(self._visible())

    def clear(self) -> None:
        """Remove all agents that this run may remove."""
        self._own().entries.clear()

    def get_summary(self) -> str:
        """Return a text that lists all agents."""
        agents = self.list_compiled()
        if not agents:
            return "No dynamically created agents."
        lines = (f"- {agent.name} [{agent.config.get('model', 'default')}]: {agent.description}" for agent in agents)
        return "\n".join((f"Dynamic Agents ({len(agents)}):", *lines))

    def forget(self, scope: str) -> None:
        """Drop the agents of a tree of tasks."""
        self._scopes.pop(scope, None)

    def set_maker(self, maker_id: str, maker: Maker) -> None:
        """Let agents whose definition names this maker be made again with it."""
        self._makers[maker_id] = maker

    def make(self, definition: AgentDefinition, deps: Any) -> CompiledSubAgent:
        """Make an agent again. Raises LookupError when its maker is not there, and what the maker raises."""
        maker = self._makers.get(definition.maker)
        if maker is None:
            raise LookupError(f"no toolset {definition.maker!r} makes agents for this registry (any more)")
        return maker(definition, deps)

    def note(self, ctx: RunContext[Any]) -> None:
        """Note that the tool call in this context changed the registry, so that `recover` does not repeat it."""
        if registry_scope.get() and ctx.tool_call_id is not None:
            self._own().applied.add((ctx.run_id, ctx.tool_call_id))

    def recover(self, ctx: RunContext[Any]) -> None:
        """Apply what earlier tool calls in the conversation did, as `created` and `removed` in their metadata say.

        Under a server a run goes on in another process without its calls being made again. Each is applied once.
        """
        if not registry_scope.get():
            return
        names = self._own()
        for run_id, part in _tool_returns(ctx):
            key = (run_id, part.tool_call_id)
            metadata: object = part.metadata
            if key not in names.applied and isinstance(metadata, dict):
                names.applied.add(key)
                self._apply(cast("dict[str, Any]", metadata), ctx, is_of_run=run_id == ctx.run_id)

    def _apply(self, metadata: dict[str, Any], ctx: RunContext[Any], *, is_of_run: bool) -> None:
        for name in metadata.get(AGENTS_REMOVED, ()):
            self.remove(name)
        for_run = metadata.get(AGENTS_CREATED_FOR_RUN, ()) if is_of_run else ()
        for definition in (*metadata.get(AGENTS_CREATED, ()), *for_run):
            try:
                self.register_made(_definition.validate_python(definition), ctx.deps)
            except Exception:
                logger.warning("the agent of an earlier tool call cannot be made again", exc_info=True)

    def register_made(self, definition: AgentDefinition, deps: Any) -> CompiledSubAgent:
        """Make an agent and add it. Raises as `make` and `register` do."""
        compiled = self.make(definition, deps)
        self.register(compiled.config, compiled.agent, definition)
        return compiled

    def _own(self) -> _Names:
        return self._scopes.setdefault(registry_scope.get(), _Names())

    def _visible(self) -> dict[str, _Entry]:
        entries = dict(self._scopes[""].entries) if "" in self._scopes else {}
        scope = registry_scope.get()
        if scope in self._scopes:
            entries |= self._scopes[scope].entries
        return entries


def _tool_returns(ctx: RunContext[Any]) -> Iterator[tuple[str | None, ToolReturnPart]]:
    for message in ctx.messages:
        if isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, ToolReturnPart):
                    yield message.run_id, part
