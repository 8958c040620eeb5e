"""What the writer remembers of tasks and trees, so that the hot path need not read rows."""

from dataclasses import dataclass, field

from musterd.domain.task import ComponentRef, TaskState

CACHED_TREES_MAX = 20_000


@dataclass(slots=True, kw_only=True, eq=False)
class LiveTree:
    """The end of a tree's log."""

    number: int
    root_task_id: str
    last_sequence: int


@dataclass(slots=True, kw_only=True, eq=False)
class LiveTask:
    """Who may write a task, and where its events go."""

    number: int
    task_id: str
    tree: LiveTree
    component: ComponentRef
    state: TaskState
    attempt: int
    owner: str | None

    def is_held(self, attempt: int) -> bool:
        """Whether `attempt` owns the task and it has not ended."""
        return self.attempt == attempt and self.owner is not None and not self.state.is_terminal


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
