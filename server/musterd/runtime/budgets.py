"""What the trees that run here have spent of what they may spend."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import Budget, Usage, UsageLimits


@dataclass(slots=True)
class TreeBudget:
    """A tree's spending, shared by all its tasks in this process: each step is charged when it happens.

    It is checked before each request to a model and each tool call, so a tree overshoots by at most one step for each
    live task.
    """

    limits: UsageLimits
    spent: Usage
    holders: int = 0

    def charge(self, *, requests: int = 0, tool_calls: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Add what a step spent."""
        spent = self.spent
        self.spent = Usage(
            requests=spent.requests + requests,
            tool_calls=spent.tool_calls + tool_calls,
            input_tokens=spent.input_tokens + input_tokens,
            output_tokens=spent.output_tokens + output_tokens,
        )

    def check(self) -> None:
        """Raise MusterdError USAGE_LIMIT_EXCEEDED when nothing is left for another request."""
        if (used := self.limits.exhausted_by(self.spent)) is not None:
            raise _exceeded(used)

    def check_tool_call(self) -> None:
        """Raise MusterdError USAGE_LIMIT_EXCEEDED when no further tool call is left."""
        limit, used = self.limits.tool_calls, self.spent.tool_calls
        if limit is not None and used >= limit:
            raise _exceeded(f"{used} of {limit} tool calls")


class TaskBudget:
    """One attempt's way to its tree's budget. What the task was charged for before it began is not charged again."""

    def __init__(self, tree: TreeBudget, charged: Usage) -> None:
        self.tree = tree
        self._charged = charged

    def charge_up_to(self, usage: Usage) -> None:
        """Charge what the task has spent in all, as far as it was not charged yet: a replay spends nothing."""
        before = self._charged
        more = Usage(
            requests=max(0, usage.requests - before.requests),
            tool_calls=max(0, usage.tool_calls - before.tool_calls),
            input_tokens=max(0, usage.input_tokens - before.input_tokens),
            output_tokens=max(0, usage.output_tokens - before.output_tokens),
        )
        self._charge(more)

    @contextmanager
    def tool_call(self, *, is_new: bool) -> Generator[None]:
        """Charge a tool call from its beginning on, for it may start others; one that fails costs nothing.

        Raises MusterdError USAGE_LIMIT_EXCEEDED for a new one when none is left.
        """
        if is_new:
            self.tree.check_tool_call()
        self._charge(Usage(tool_calls=1))
        try:
            yield
        except BaseException:
            self._charge(Usage(tool_calls=-1))
            raise

    def _charge(self, more: Usage) -> None:
        before = self._charged
        self._charged = Usage(
            requests=before.requests + more.requests,
            tool_calls=before.tool_calls + more.tool_calls,
            input_tokens=before.input_tokens + more.input_tokens,
            output_tokens=before.output_tokens + more.output_tokens,
        )
        self.tree.charge(
            requests=more.requests,
            tool_calls=more.tool_calls,
            input_tokens=more.input_tokens,
            output_tokens=more.output_tokens,
        )


class Budgets:
    """The budgets of the trees that have a task here."""

    def __init__(self) -> None:
        self._by_root: dict[str, TreeBudget] = {}

    def open(self, root_task_id: str, budget: Budget) -> TreeBudget:
        """Return the budget of a tree, as it stands here or, when no other task of it runs here, in the store."""
        found = self._by_root.get(root_task_id)
        if found is None:
            found = self._by_root[root_task_id] = TreeBudget(budget.limits, budget.spent)
        found.holders += 1
        return found

    def close(self, root_task_id: str) -> bool:
        """Let go of a tree's budget. Returns True when that was the last holder: then it has ended here."""
        found = self._by_root[root_task_id]
        found.holders -= 1
        if not found.holders:
            del self._by_root[root_task_id]
        return not found.holders


def _exceeded(used: str) -> MusterdError:
    return MusterdError(
        reason=Reason.USAGE_LIMIT_EXCEEDED,
        message=f"the run and all that it started have spent what they may spend: {used}",
    )
