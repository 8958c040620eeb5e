"""How subagents are described, and what is known of a task before it starts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Required, Self, TypeAlias, TypedDict, get_args, runtime_checkable

from pydantic_ai import RunContext
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import UsageLimits

ExecutionMode = Literal["sync", "async", "auto"]
Complexity = Literal["simple", "moderate", "complex"]

ToolsetFactory: TypeAlias = Callable[[Any], Sequence[AbstractToolset[Any]]]
"""Called with the deps of an agent; returns toolsets for it."""

AgentFactory: TypeAlias = Callable[["SubAgentConfig"], Any]
"""Called with a subagent's config; returns its agent."""

AskUserCallback: TypeAlias = Callable[[str], Awaitable[str]]
"""Called with a subagent's question; returns the answer."""

UsageLimitsFactory: TypeAlias = Callable[[RunContext[Any], "SubAgentConfig"], UsageLimits | None]
"""Called for each delegation with the caller's context; returns the limits of the subagent's run, None for none."""


@runtime_checkable
class SubAgentDepsProtocol(Protocol):
    """Deps that give a subagent deps of its own. Deps without this method are shared with it."""

    def clone_for_subagent(self, max_depth: int = 0) -> Self:
        """Return what a subagent may use. Called once for each delegation, on the event loop.

        `max_depth` is to how many levels below it the subagent may have others work for it; below 0 is as good as 0.
        """
        ...


class SubAgentConfig(TypedDict, total=False):
    """A subagent. Its agent is `agent`, else what `agent_factory(config)` returns, else a new one from the rest.

    `instructions` are for a new agent. `toolsets` and `agent_kwargs` (arguments of `Agent`) too. `model` is its model;
    without one it uses the toolset's default, else that of its caller. `max_questions` limits what it may ask in one
    task. `preferred_mode`, `typical_complexity` and `typically_needs_context` decide between sync and async when a call
    says `auto`. The `retry_*` keys and `max_retries` say how failed model requests are tried again, in seconds.
    `on_failure` is what the caller reads instead of an error. `contain_errors` false raises the failure of a sync task
    in the caller's run. `context_files` and `extra` are for the application; nothing here reads them.
    """

    name: Required[str]
    description: Required[str]
    instructions: Required[str]
    model: str | Model
    agent: Any
    agent_factory: AgentFactory
    can_ask_questions: bool
    max_questions: int
    preferred_mode: ExecutionMode
    typical_complexity: Complexity
    typically_needs_context: bool
    toolsets: Sequence[AbstractToolset[Any]]
    agent_kwargs: dict[str, Any]
    context_files: list[str]
    extra: dict[str, Any]
    max_retries: int
    retry_initial_delay: float
    retry_max_delay: float
    retry_backoff_multiplier: float
    retry_jitter: bool
    retry_on: Callable[[BaseException], bool]
    on_failure: str
    contain_errors: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledSubAgent:
    """A subagent whose agent has been built."""

    name: str
    description: str
    config: SubAgentConfig
    agent: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCharacteristics:
    """What is known of a task before it starts."""

    estimated_complexity: Complexity = "moderate"
    requires_user_context: bool = False
    is_time_sensitive: bool = False
    can_run_independently: bool = True
    may_need_clarification: bool = False


def check_execution_mode(mode: ExecutionMode | None) -> None:
    """Raise ValueError for a mode that there is not: configs come from programs that no type checker has seen."""
    if mode is not None and mode not in get_args(ExecutionMode):
        raise ValueError(f"the mode of a task must be one of {', '.join(get_args(ExecutionMode))}, it is {mode!r}")


def decide_execution_mode(
    characteristics: TaskCharacteristics, config: SubAgentConfig, force_mode: ExecutionMode | None = None
) -> Literal["sync", "async"]:
    """Return whether the caller waits for a task. The first rule that applies decides.

    Raises ValueError for a mode that there is not.
    """
    for wish in (force_mode, config.get("preferred_mode")):
        check_execution_mode(wish)
        if wish is not None and wish != "auto":
            return wish
    independent = characteristics.can_run_independently
    match characteristics:
        case TaskCharacteristics(requires_user_context=True):
            return "sync"
        case TaskCharacteristics(may_need_clarification=True, is_time_sensitive=True):
            return "sync"
        case TaskCharacteristics(estimated_complexity="complex") if independent:
            return "async"
        case TaskCharacteristics(estimated_complexity="simple"):
            return "sync"
        case _:
            return "async" if independent else "sync"
