"""What the writer remembers of tasks and trees, so that the hot path need not read rows."""

from dataclasses import dataclass, field

from musterd.domain.task import Budget, ComponentRef, TaskState, Usage, UsageLimits

CACHED_TREES_MAX = 20_000


@dataclass(slots=True, kw_only=True, eq=False)
class LiveTree:
    """The end of a tree's log, and its budget."""

    number: int
    root_task_id: str
    last_sequence: int
    limits: UsageLimits
    spent: Usage

    @property
    def budget(self) -> Budget:
        """What the tree may spend, and what it has spent."""
        return Budget(limits=self.limits, spent=self.spent)

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
    usage: Usage

    def is_held(self, attempt: int) -> bool:
        """Whether `attempt` owns the task and it has not ended."""
        return self.attempt == attempt and self.owner is not None and not self.state.is_terminal

    def has_had(self, attempt: int, number: int) -> bool:
        """Whether a write of an attempt, which counts them from 1, was stored before."""
        return self.attempt == attempt and 0 < number <= self.last_write


@dataclass(slots=True)
class LiveCache:
    """Mirrors rows between commits. It is true because no other connection writes; a rollback empties it."""

    tasks: dict[str, LiveTask] = field(default_factory=dict[str, LiveTask])
    trees: dict[str, LiveTree] = field(default_factory=dict[str, LiveTree])

    def clear(self) -> None:
        """Forget everything."""
        self.tasks.clear()
        self.trees.clear()

    def trim(self) -> None:
        """Forget everything when it has become much. Only between transactions: two mirrors of one row would differ."""
        if len(self.trees) > CACHED_TREES_MAX:
            self.clear()
