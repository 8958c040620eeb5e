"""What a transaction knows of the trees and tasks that it has locked."""

from dataclasses import dataclass

from musterd.domain.task import Budget, ComponentRef, Output, TaskError, TaskState, Usage
from musterd.store.encoding import USAGE_LIMITS


@dataclass(slots=True, kw_only=True, eq=False)
class LiveTree:
    """The end of a tree's log, and its budget."""

    number: int
    root_task_id: str
    tenant_id: str
    create_day: int
    last_sequence: int
    limits_json: bytes
    spent: Usage

    @property
    def budget(self) -> Budget:
        """What the tree may spend, and what it has spent."""
        return Budget(limits=USAGE_LIMITS.decode(self.limits_json), spent=self.spent)

    def charge(self, former: Usage, usage: Usage) -> None:
        """Add what a task has spent since its usage was `former`."""
        spent = self.spent
        self.spent = Usage(
            requests=spent.requests + usage.requests - former.requests,
            tool_calls=spent.tool_calls + usage.tool_calls - former.tool_calls,
            input_tokens=spent.input_tokens + usage.input_tokens - former.input_tokens,
            output_tokens=spent.output_tokens + usage.output_tokens - former.output_tokens,
            cache_read_tokens=spent.cache_read_tokens + usage.cache_read_tokens - former.cache_read_tokens,
            cache_write_tokens=spent.cache_write_tokens + usage.cache_write_tokens - former.cache_write_tokens,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class LiveTask:
    """Who may write a task, where its events go, and what it has spent so far. A root has no parent's id."""

    number: int
    task_id: str
    parent_task_id: str | None
    tree: LiveTree
    component: ComponentRef
    state: TaskState
    attempt: int
    last_write: int
    owner: str | None
    is_waiting: bool
    usage: Usage

    def is_held(self, attempt: int) -> bool:
        """Whether `attempt` owns the task and it has not ended."""
        return self.attempt == attempt and self.owner is not None and not self.state.is_terminal

    def has_had(self, attempt: int, number: int) -> bool:
        """Whether a write of an attempt, which counts them from 1, was stored before."""
        return self.attempt == attempt and 0 < number <= self.last_write


@dataclass(slots=True, kw_only=True)
class Change:
    """What is stored of a task at the end of a transaction, beside what the live task says. None stays as it is."""

    usage: Usage | None = None
    output: Output | None = None
    error: TaskError | None = None
    is_touched: bool = False
    has_new_state: bool = False
