"""From a subagent's config to what is run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.models import Model
from pydantic_ai.usage import RunUsage, UsageLimits

from musterd.subagents.host import PreparedSubagent
from musterd.subagents.prompts import get_task_instructions_prompt
from musterd.subagents.registry import AgentDefinition
from musterd.subagents.retry import RetryConfig
from musterd.subagents.types import (
    AskUserCallback,
    CompiledSubAgent,
    SubAgentConfig,
    SubAgentDepsProtocol,
    ToolsetFactory,
    check_execution_mode,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSubagent:
    """What cannot be had from the toolset alone when a delegation is prepared again, after a restart."""

    agent: AgentDefinition | None = None
    usage_limits: UsageLimits | None = None

    def to_json(self) -> str:
        """Return it as JSON; empty when there is nothing to store."""
        return "" if self == StoredSubagent() else _stored.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "StoredSubagent":
        """Return what `to_json` gave."""
        return _stored.validate_json(text) if text else cls()


_stored = TypeAdapter(StoredSubagent)


def compile_subagent(config: SubAgentConfig, default_model: Model | str | None = None) -> CompiledSubAgent:
    """Return a subagent with its agent: the config's, else what its factory returns, else a new one.

    A new agent without a model is run with its caller's. Raises TypeError when what comes is no agent, and ValueError
    for a config that cannot be used.
    """
    RetryConfig.from_config(config)
    check_execution_mode(config.get("preferred_mode"))
    agent = config.get("agent")
    if agent is None:
        factory = config.get("agent_factory")
        agent = factory(config) if factory is not None else _new_agent(config, default_model)
    if not isinstance(agent, AbstractAgent):
        raise TypeError(f"the agent of subagent {config['name']!r} must be a pydantic-ai agent, it is a {type(agent)}")
    return CompiledSubAgent(name=config["name"], description=config["description"], config=config, agent=agent)


def _new_agent(config: SubAgentConfig, default_model: Model | str | None) -> Agent[Any, Any]:
    arguments: dict[str, Any] = {
        "name": config["name"],
        "instructions": config["instructions"],
        **config.get("agent_kwargs", {}),
    }
    toolsets = [*config.get("toolsets", ()), *arguments.pop("toolsets", ())]
    return Agent(config.get("model") or default_model, toolsets=toolsets, **arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a toolset prepares its subagents."""

    default_model: Model | str | None
    toolsets_factory: ToolsetFactory | None
    max_nesting_depth: int
    ask_user: AskUserCallback | None
    ask_timeout_seconds: float
    report: Callable[[RunUsage], None]

    def needs_callers_model(self, subagent: CompiledSubAgent) -> bool:
        """Whether a subagent has no model of its own."""
        return subagent.agent.model is None and not (subagent.config.get("model") or self.default_model)

    def prepare(
        self,
        subagent: CompiledSubAgent,
        *,
        description: str,
        deps: Any,
        model: Model | str | None,
        usage_limits: UsageLimits | None,
    ) -> PreparedSubagent:
        """Return a subagent that is ready for a task. `deps` and `model` are the caller's."""
        config, agent = subagent.config, subagent.agent
        if isinstance(deps, SubAgentDepsProtocol):
            deps = deps.clone_for_subagent(self.max_nesting_depth - 1)
        can_ask, max_questions = config.get("can_ask_questions", True), config.get("max_questions")
        return PreparedSubagent(
            agent=agent,
            deps=deps,
            prompt=get_task_instructions_prompt(description, can_ask, max_questions),
            toolsets=(
                *(config.get("toolsets", ()) if "agent" in config else ()),
                *(self.toolsets_factory(deps) if self.toolsets_factory is not None else ()),
            ),
            model=None if agent.model is not None else config.get("model") or self.default_model or model,
            usage_limits=usage_limits,
            retry=RetryConfig.from_config(config),
            can_ask=can_ask,
            max_questions=max_questions,
            ask_user=self.ask_user,
            ask_timeout_seconds=self.ask_timeout_seconds,
            report=self.report,
        )
