"""Where delegated tasks run, as a port: in this process's memory, or on the server's task engine.

Toolsets ask `current_host` first: a server sets it for each run that it executes. Without one they use their own host
in memory. So the same toolset works in both worlds.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pydantic_ai import RunContext
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import RunUsage, UsageLimits

from musterd.subagents.retry import RetryConfig
from musterd.subagents.status import TaskPriority, TaskStatus
from musterd.subagents.types import AskUserCallback

ASK_TIMEOUT_SECONDS = 300.0
"""How long a question of a subagent stays open."""


class DelegationRefused(Exception):  # noqa: N818 - it is no failure: the text tells the model why nothing was started
    """The host does not start the task. Nothing of it is left. The text is for the model, without `Error: `."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSubagent:
    """A subagent that is ready for one run.

    `toolsets` and `capabilities` are for this run, beside those of the agent; they do not include `ask_parent`, which
    the host adds when `can_ask` is true. `prompt` is what the child reads first. `model` is for an agent that has none
    of its own. `ask_user` answers what a child in sync mode asks; in async mode a question stays open for
    `ask_timeout_seconds`. `report` is called once with what the run spent, however it ended.
    """

    agent: AbstractAgent[Any, Any]
    deps: Any
    prompt: str
    toolsets: tuple[AbstractToolset[Any], ...] = ()
    capabilities: tuple[AbstractCapability[Any], ...] = ()
    model: Model | str | None = None
    usage_limits: UsageLimits | None = None
    retry: RetryConfig = field(default_factory=RetryConfig)
    can_ask: bool = True
    max_questions: int | None = None
    ask_user: AskUserCallback | None = None
    ask_timeout_seconds: float = ASK_TIMEOUT_SECONDS
    report: Callable[[RunUsage], None] = lambda _: None


@runtime_checkable
class Delegator(Protocol):
    """A toolset that has subagents, and can prepare each of them again: the server does so after a restart."""

    @property
    def id(self) -> str | None:
        """The toolset's id, unique among the toolsets of its agent."""
        ...

    def prepare(
        self, name: str, *, description: str, definition_json: str, deps: Any, model: Model | str | None
    ) -> PreparedSubagent:
        """Prepare the subagent `name` for a task.

        `definition_json` is what the toolset put into the delegation, to have it again here. `deps` and `model` are the
        parent's. Raises LookupError when there is no such subagent (any more).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A wish to have a subagent do something.

    `index` tells apart several delegations of one tool call. `nesting_left` says to how many further levels the child
    may delegate. `outlives_run` lets a background child go on when the run that starts it ends. `is_member` is true for
    a member of the team that the run leads. `prepare` is called in this process when the child starts here; a server
    that starts it elsewhere asks the toolset `toolset_id` of the rebuilt parent instead.
    """

    subagent: str
    description: str
    prepare: Callable[[], PreparedSubagent]
    toolset_id: str
    index: int = 0
    definition_json: str = ""
    in_background: bool = False
    priority: TaskPriority = TaskPriority.NORMAL
    nesting_left: int = 0
    outlives_run: bool = False
    is_member: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """A question that waits for its answer."""

    question_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A delegated task as it stands. `running_seconds` is None before it starts; `usage` is None until it is known."""

    task_id: str
    subagent: str
    description: str
    status: TaskStatus
    result: str | None = None
    error: str | None = None
    questions: tuple[OpenQuestion, ...] = ()
    usage: RunUsage | None = None
    running_seconds: float | None = None


class Starter(Protocol):
    """Starts delegated tasks, and tells how they ended."""

    async def start(self, ctx: RunContext[Any], delegation: Delegation) -> str:
        """Start a task, or attach to the one that the same tool call started before, and return its id.

        Raises DelegationRefused.
        """
        ...

    async def join(self, ctx: RunContext[Any], task_id: str) -> TaskView:
        """Return how a task ended, once it has. When the caller is canceled, so is a task not in the background."""
        ...


class SubagentHost(Starter, Protocol):
    """Runs delegated tasks, and knows how they stand. A run sees its own children, and what its conversation left.

    `ctx` is the context of the tool call that asks.
    """

    def model_of(self, ctx: RunContext[Any]) -> Model:
        """Return the model of the run that calls, as a child may use it."""
        ...

    def nesting_left(self) -> int | None:
        """Return to how many further levels this run may delegate; None when no parent limits it."""
        ...

    async def find(self, ctx: RunContext[Any], task_id: str) -> TaskView | None:
        """Return a task; None when this run may not see it, or there is none."""
        ...

    async def list_active(self, ctx: RunContext[Any]) -> Sequence[TaskView]:
        """Return the tasks that this run may see and that have not ended, oldest first."""
        ...

    async def wait(
        self, ctx: RunContext[Any], task_ids: Sequence[str], *, seconds: float, wait_for_any: bool
    ) -> Sequence[TaskView | None]:
        """Return the tasks once one or all ended, one asks something, or the time is over. Never cancels one.

        Of a question a run is told once: the next wait goes on, for somebody else may be who answers.
        """
        ...

    async def answer(self, ctx: RunContext[Any], task_id: str, answer: str, question_id: str | None = None) -> bool:
        """Answer the oldest open question of a task, or the one named. Returns False when it is not open."""
        ...

    async def send(self, ctx: RunContext[Any], task_id: str, message: str) -> bool:
        """Put a message into a task's next request to its model. Returns False when it can take none any more."""
        ...

    async def cancel(self, ctx: RunContext[Any], task_id: str, *, hard: bool) -> bool:
        """Cancel a task between its steps, or at once. Returns False when it has ended already."""
        ...


current_host: ContextVar[SubagentHost | None] = ContextVar("musterd-subagent-host", default=None)
"""The host that a server gives to the run in this context."""
