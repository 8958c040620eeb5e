"""The toolset by which an agent has subagents work for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_ai import RunContext
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset, WrapperToolset
from pydantic_ai.usage import RunUsage, UsageLimits

from musterd.subagents import texts
from musterd.subagents.descriptions import REPEATABLE, describe_tools
from musterd.subagents.host import (
    ASK_TIMEOUT_SECONDS,
    Delegation,
    DelegationRefused,
    PreparedSubagent,
    SubagentHost,
    TaskView,
    current_host,
)
from musterd.subagents.manager import TaskManager
from musterd.subagents.memory import MemoryHost
from musterd.subagents.preparing import Preparation, StoredSubagent, compile_subagent
from musterd.subagents.prompts import general_purpose_config
from musterd.subagents.registry import AgentDefinition, DynamicAgentRegistry
from musterd.subagents.slots import MAX_RUNNING_TASKS
from musterd.subagents.status import TaskPriority, TaskStatus
from musterd.subagents.types import (
    AskUserCallback,
    CompiledSubAgent,
    Complexity,
    ExecutionMode,
    SubAgentConfig,
    TaskCharacteristics,
    ToolsetFactory,
    UsageLimitsFactory,
    decide_execution_mode,
)

DEFAULT_ID = "subagents"


class SubagentFailedError(Exception):
    """A subagent whose config says `contain_errors: False` failed in sync mode: its caller's run fails with it."""


class SubAgentToolset(FunctionToolset[Any]):
    """Tools to give tasks to subagents, and to follow, answer, steer and cancel those in the background.

    Works in any pydantic-ai agent. There tasks run in memory, at most `max_running_tasks` at a time, and those in the
    background end with the run that started them; with `background_outlives_run` they go on, and later runs of the
    same conversation see them. Under a server the server runs them. One toolset may serve many runs at once: a run sees
    its own tasks alone.

    `registry` has the subagents that are made while agents run; none of them can have the name of one given here.
    `default_model` is for subagents without a model; without it they use their caller's. `toolsets_factory` gets the
    subagent's deps for each task. `max_nesting_depth` is to how many further levels a subagent may delegate.
    `descriptions` replaces the text of tools by their names. `ask_user` answers what subagents ask in sync mode.
    `usage_limits` hold for each task. Raises ValueError for arguments that cannot be used.
    """

    def __init__(  # noqa: PLR0917 - the promised signature
        self,
        subagents: Sequence[SubAgentConfig] | None = None,
        default_model: Model | str | None = None,
        toolsets_factory: ToolsetFactory | None = None,
        include_general_purpose: bool = True,  # noqa: FBT001, FBT002 - the promised signature
        max_nesting_depth: int = 0,
        id: str | None = None,  # noqa: A002 - the promised signature
        registry: DynamicAgentRegistry | None = None,
        descriptions: Mapping[str, str] | None = None,
        ask_user: AskUserCallback | None = None,
        usage_limits: UsageLimits | UsageLimitsFactory | None = None,
        *,
        background_outlives_run: bool = False,
        max_running_tasks: int = MAX_RUNNING_TASKS,
        ask_timeout_seconds: float = ASK_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(id=id or DEFAULT_ID)
        if max_nesting_depth < 0:
            raise ValueError(f"max_nesting_depth must be 0 or more, it is {max_nesting_depth}")
        if ask_timeout_seconds <= 0:
            raise ValueError(f"ask_timeout_seconds must be more than 0, it is {ask_timeout_seconds}")
        self.task_manager = TaskManager(max_running=max_running_tasks)
        self.registry = registry
        self._usage_limits = usage_limits
        self._background_outlives_run = background_outlives_run
        self._max_nesting_depth = max_nesting_depth
        self._memory = MemoryHost(self.task_manager)
        self._total = RunUsage()
        self._preparation = Preparation(
            default_model=default_model,
            toolsets_factory=toolsets_factory,
            max_nesting_depth=max_nesting_depth,
            ask_user=ask_user,
            ask_timeout_seconds=ask_timeout_seconds,
            report=self._add_usage,
        )
        configs = [*(subagents or ()), *([general_purpose_config()] if include_general_purpose else ())]
        self._compiled: dict[str, CompiledSubAgent] = {}
        for config in configs:
            if config["name"] in self._compiled:
                raise ValueError(f"two subagents are named {config['name']!r}; give each a name of its own")
            self._compiled[config["name"]] = compile_subagent(config, default_model)
        if registry is not None:
            registry.reserve(self._compiled)
        listed = [(config["name"], config["description"]) for config in configs]
        for name, text in describe_tools(descriptions, listed).items():
            self.add_function(getattr(self, name), name=name, description=text, metadata=REPEATABLE)

    def get_total_usage(self) -> dict[str, int]:
        """Return what all tasks spent that have ended, however they ended."""
        return {
            "input_tokens": self._total.input_tokens,
            "output_tokens": self._total.output_tokens,
            "total_tokens": self._total.total_tokens,
            "requests": self._total.requests,
        }

    async def for_run(self, ctx: RunContext[Any]) -> AbstractToolset[Any]:
        """Return the toolset for one run: in memory, one that ends the run's tasks with it."""
        return self if current_host.get() is not None else _OneRun(self, self._memory, ctx.run_id)

    def prepare(
        self, name: str, *, description: str, definition_json: str, deps: Any, model: Model | str | None
    ) -> PreparedSubagent:
        """Prepare a subagent again for a task that was given to it in another process. Raises LookupError."""
        stored = StoredSubagent.from_json(definition_json)
        if stored.agent is not None and self.registry is not None:
            subagent = self.registry.make(stored.agent, deps)
        else:
            found = self._look_up(name)
            if found is None:
                raise LookupError(f"there is no subagent {name!r} (any more)")
            subagent = found
        limits = stored.usage_limits if callable(self._usage_limits) else self._usage_limits
        return self._preparation.prepare(subagent, description=description, deps=deps, model=model, usage_limits=limits)

    async def task(  # noqa: PLR0917 - the arguments of a tool have no order
        self,
        ctx: RunContext[Any],
        description: str,
        subagent_type: str,
        mode: ExecutionMode = "sync",
        priority: TaskPriority = TaskPriority.NORMAL,
        complexity: Complexity | None = None,
        requires_user_context: bool = False,  # noqa: FBT001, FBT002 - the promised signature
        may_need_clarification: bool = False,  # noqa: FBT001, FBT002 - the promised signature
    ) -> str:
        """Give a task to a subagent.

        Args:
            ctx: The run that calls.
            description: The whole task, with all that the subagent needs to know.
            subagent_type: The subagent's name.
            mode: "sync" to wait for the result, "async" for the background, "auto" to have it decided.
            priority: How urgent the task is among those that wait for their turn.
            complexity: How much work it is, for mode "auto".
            requires_user_context: Whether it needs what only the user knows, for mode "auto".
            may_need_clarification: Whether the subagent will probably ask, for mode "auto".
        """
        if self.registry is not None:
            self.registry.recover(ctx)
        subagent = self._look_up(subagent_type)
        if subagent is None:
            return self._unknown(subagent_type)
        if not description.strip():
            return "Error: The description is empty. Say what the subagent is to do."
        characteristics = TaskCharacteristics(
            estimated_complexity=complexity or subagent.config.get("typical_complexity", "moderate"),
            requires_user_context=requires_user_context or subagent.config.get("typically_needs_context", False),
            may_need_clarification=may_need_clarification,
        )
        in_background = decide_execution_mode(characteristics, subagent.config, mode) == "async"
        host = self._host()
        try:
            delegation = self._delegation(ctx, subagent, description, priority=priority, in_background=in_background)
            task_id = await host.start(ctx, delegation)
        except DelegationRefused as refusal:
            return f"Error: {refusal}"
        if in_background:
            return texts.started(task_id, subagent_type)
        return _outcome(await host.join(ctx, task_id), subagent.config)

    def _delegation(
        self,
        ctx: RunContext[Any],
        subagent: CompiledSubAgent,
        description: str,
        *,
        priority: TaskPriority,
        in_background: bool,
    ) -> Delegation:
        host, depth = self._host(), self._max_nesting_depth
        left = host.nesting_left()
        if left is not None and left <= 0:
            raise DelegationRefused("you are a subagent and may not delegate any further. Do the work yourself")
        model = host.model_of(ctx) if self._preparation.needs_callers_model(subagent) else None
        limits = self._usage_limits(ctx, subagent.config) if callable(self._usage_limits) else self._usage_limits
        stored = StoredSubagent(
            agent=self._definition_of(subagent.name), usage_limits=limits if callable(self._usage_limits) else None
        )
        return Delegation(
            subagent=subagent.name,
            description=description,
            prepare=lambda: self._preparation.prepare(
                subagent, description=description, deps=ctx.deps, model=model, usage_limits=limits
            ),
            toolset_id=self.id or DEFAULT_ID,
            definition_json=stored.to_json(),
            in_background=in_background,
            priority=priority,
            nesting_left=depth if left is None else min(left - 1, depth),
            outlives_run=in_background and self._background_outlives_run,
        )

    async def check_task(self, ctx: RunContext[Any], task_id: str) -> str:
        """Look at a task.

        Args:
            ctx: The run that calls.
            task_id: The task's id.
        """
        view = await self._host().find(ctx, task_id)
        return texts.not_found(task_id) if view is None else texts.checked(view)

    async def answer_subagent(
        self, ctx: RunContext[Any], task_id: str, answer: str, question_id: str | None = None
    ) -> str:
        """Answer a question.

        Args:
            ctx: The run that calls.
            task_id: The id of the task that asks.
            answer: The answer.
            question_id: Which question, when the task has several open; without it the oldest.
        """
        host = self._host()
        # First the answer, then the look: a call that is made again after a crash is told that it answered.
        if await host.answer(ctx, task_id, answer, question_id):
            return texts.answered(task_id)
        view = await host.find(ctx, task_id)
        if view is None:
            return texts.not_found(task_id)
        if view.status is not TaskStatus.WAITING_FOR_ANSWER:
            return texts.not_waiting(view)
        return texts.NO_LONGER_WAITING if question_id is None else texts.no_question(task_id, question_id)

    async def send_message_to_subagent(self, ctx: RunContext[Any], task_id: str, message: str) -> str:
        """Send a message.

        Args:
            ctx: The run that calls.
            task_id: The id of the task that gets it.
            message: The message.
        """
        host = self._host()
        if await host.find(ctx, task_id) is None:
            return texts.not_found(task_id)
        if not message.strip():
            return "Error: The message is empty."
        if await host.send(ctx, task_id, message):
            return texts.delivered(task_id)
        view = await host.find(ctx, task_id)
        return texts.not_found(task_id) if view is None else texts.not_accepting(view)

    async def list_active_tasks(self, ctx: RunContext[Any]) -> str:
        """List the tasks that have not ended."""
        return texts.active(await self._host().list_active(ctx))

    async def wait_tasks(
        self,
        ctx: RunContext[Any],
        task_ids: list[str],
        timeout: float = 300.0,  # noqa: ASYNC109 - the promised name
        mode: Literal["all", "any"] = "all",
    ) -> str:
        """Wait for tasks.

        Args:
            ctx: The run that calls.
            task_ids: The ids of the tasks.
            timeout: How many seconds to wait at most.
            mode: "all" to wait for all of them, "any" for the first.
        """
        ids = list(dict.fromkeys(task_ids))
        if not ids:
            return "Error: task_ids is empty. Name the tasks to wait for."
        views = await self._host().wait(ctx, ids, seconds=max(0.0, timeout), wait_for_any=mode == "any")
        return texts.waited(ids, views, mode)

    async def soft_cancel_task(self, ctx: RunContext[Any], task_id: str) -> str:
        """Cancel a task between its steps.

        Args:
            ctx: The run that calls.
            task_id: The task's id.
        """
        return await self._cancel(ctx, task_id, hard=False)

    async def hard_cancel_task(self, ctx: RunContext[Any], task_id: str) -> str:
        """Cancel a task at once.

        Args:
            ctx: The run that calls.
            task_id: The task's id.
        """
        return await self._cancel(ctx, task_id, hard=True)

    async def _cancel(self, ctx: RunContext[Any], task_id: str, *, hard: bool) -> str:
        host = self._host()
        if await host.find(ctx, task_id) is None:
            return texts.not_found(task_id)
        if await host.cancel(ctx, task_id, hard=hard):
            return (texts.cancelled if hard else texts.cancel_requested)(task_id)
        view = await host.find(ctx, task_id)
        return texts.not_found(task_id) if view is None else texts.nothing_to_cancel(view)

    def _host(self) -> SubagentHost:
        return current_host.get() or self._memory

    def _look_up(self, name: str) -> CompiledSubAgent | None:
        if name in self._compiled or self.registry is None:
            return self._compiled.get(name)
        return self.registry.get_compiled(name)

    def _definition_of(self, name: str) -> AgentDefinition | None:
        if name in self._compiled or self.registry is None:
            return None
        return self.registry.get_definition(name)

    def _unknown(self, name: str) -> str:
        made = self.registry.list_agents() if self.registry is not None else []
        available = ", ".join(dict.fromkeys((*self._compiled, *made))) or "none"
        return f"Error: Unknown subagent '{name}'. Available: {available}"

    def _add_usage(self, usage: RunUsage) -> None:
        self._total += usage


create_subagent_toolset = SubAgentToolset


def _outcome(view: TaskView, config: SubAgentConfig) -> str:
    """Return what the caller's model reads of a task in sync mode that has ended. Raises SubagentFailedError.

    A failure is an ordinary result, no ModelRetry: the same call again would most often fail again.
    """
    if view.status is TaskStatus.COMPLETED:
        return view.result or ""
    if (on_failure := config.get("on_failure")) is not None:
        return on_failure
    if not config.get("contain_errors", True):
        raise SubagentFailedError(f"subagent {view.subagent!r} failed in task {view.task_id}: {view.error}")
    return texts.failed(view)


@dataclass
class _OneRun(WrapperToolset[Any]):
    """The toolset within one run in memory. pydantic-ai leaves it when the run ends, however that happens."""

    memory: MemoryHost
    run_id: str | None

    async def __aexit__(self, *args: object) -> bool | None:
        try:
            return await super().__aexit__(*args)
        finally:
            await self.memory.end_run(self.run_id)
