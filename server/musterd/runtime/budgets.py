"""What the trees that run here have spent of what they may spend."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import Budget, Usage, UsageLimits

NO_USAGE = Usage()


@dataclass(slots=True)
class TreeBudget:
    """A tree's spending as this process knows it, shared by all its tasks here: each step is charged when it happens.

    It is what was `stored` of the whole tree when this process last heard of it, and what its own tasks have spent
    since they last stored their usage. What tasks of other processes spend is known with the answer to the next usage
    that a task stores here, which is before its next request. It is checked before each request to a model and each
    tool call, so a tree overshoots by at most one step for each live task.
    """

    limits: UsageLimits
    stored: Usage
    unstored: Usage = NO_USAGE
    holders: int = 0

    @property
    def spent(self) -> Usage:
        """What the tree has spent, as far as it is known here."""
        return _plus(self.stored, self.unstored)

    def charge(self, *, requests: int = 0, tool_calls: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Add what a step spent."""
        unstored = self.unstored
        self.unstored = Usage(
            requests=unstored.requests + requests,
            tool_calls=unstored.tool_calls + tool_calls,
            input_tokens=unstored.input_tokens + input_tokens,
            output_tokens=unstored.output_tokens + output_tokens,
        )

    def settle(self, own: Usage, spent: Usage) -> None:
        """Learn that the store has `own` of what was charged here, with which the tree has spent `spent`."""
        self.unstored = _minus(self.unstored, own)
        self.stored = self.stored.at_least(spent)

    def learn(self, spent: Usage) -> None:
        """Learn what the tree has spent by an answer that may have come before those to our own writes.

        What is not known to be stored might be in it, and is not to be counted twice: then the next answer tells.
        """
        stored, unstored = self.stored, self.unstored
        self.stored = Usage(
            requests=_newer(stored.requests, spent.requests, unstored.requests),
            tool_calls=_newer(stored.tool_calls, spent.tool_calls, unstored.tool_calls),
            input_tokens=_newer(stored.input_tokens, spent.input_tokens, unstored.input_tokens),
            output_tokens=_newer(stored.output_tokens, spent.output_tokens, unstored.output_tokens),
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
        self._stored = charged

    def settle(self, usage: Usage, tree_spent: Usage) -> None:
        """Learn that the store has a usage of the task, with which the tree has spent `tree_spent`."""
        self.charge_up_to(usage)
        self.tree.settle(_minus(usage, self._stored), tree_spent)
        self._stored = usage

    def close(self) -> None:
        """Forget what the attempt never stored: who goes on with the task charges it when it is played again."""
        self.tree.settle(_minus(self._charged, self._stored), NO_USAGE)
        self._stored = self._charged

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
        self._charged = _plus(self._charged, more)
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
        """Return the budget of a tree, with what the store said of it last."""
        found = self._by_root.get(root_task_id)
        if found is None:
            found = self._by_root[root_task_id] = TreeBudget(budget.limits, budget.spent)
        found.learn(budget.spent)
        found.holders += 1
        return found

    def learn(self, root_task_id: str, spent: Usage) -> None:
        """Learn from the store what a tree has spent, in case that a task of it runs here."""
        if (found := self._by_root.get(root_task_id)) is not None:
            found.learn(spent)

    def close(self, root_task_id: str) -> bool:
        """Let go of a tree's budget. Returns True when that was the last holder: then it has ended here."""
        found = self._by_root[root_task_id]
        found.holders -= 1
        if not found.holders:
            del self._by_root[root_task_id]
        return not found.holders


def _plus(one: Usage, other: Usage) -> Usage:
    return Usage(
        requests=one.requests + other.requests,
        tool_calls=one.tool_calls + other.tool_calls,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
    )


def _minus(one: Usage, other: Usage) -> Usage:
    return Usage(
        requests=one.requests - other.requests,
        tool_calls=one.tool_calls - other.tool_calls,
        input_tokens=one.input_tokens - other.input_tokens,
        output_tokens=one.output_tokens - other.output_tokens,
    )


def _newer(stored: int, told: int, unstored: int) -> int:
    return stored if unstored else max(stored, told)


def _exceeded(used: str) -> MusterdError:
    return MusterdError(
        reason=Reason.USAGE_LIMIT_EXCEEDED,
        message=f"the run and all that it started have spent what they may spend: {used}",
    )
