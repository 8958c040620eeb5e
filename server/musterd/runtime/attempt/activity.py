"""What one attempt does at the same time, and how much of that only waits."""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Activity:
    """What goes on in one attempt.

    `branch_count` is how many parts of it run at the same time: one, but in a workflow's parallel steps; `has_branches`
    stays true when those are cut off. `tool_count` counts the calls of tools, `unrepeatable_count` those of them that
    must not be cut off. `waits` has, of each of all these that waits for what may take days, what it waits for.
    """

    branch_count: int = 1
    has_branches: bool = False
    tool_count: int = 0
    unrepeatable_count: int = 0
    waits: dict[object, Collection[str]] = field(default_factory=dict[object, Collection[str]])

    @property
    def awaited(self) -> Collection[str]:
        """The ids of the approvals and tasks that are waited for, as far as is known here."""
        return {one for awaited in self.waits.values() for one in awaited}

    @property
    def only_waits(self) -> bool:
        """Whether all that goes on waits for what may take days, and may begin to wait again in another attempt."""
        return self.unrepeatable_count == 0 and len(self.waits) >= max(self.branch_count, self.tool_count)

    @contextmanager
    def branches(self, count: int) -> Generator[Callable[[], None]]:
        """Count parts inside that run at the same time. Call what is yielded for each of them that needs no more.

        The last of them still counts then, as the whole that goes on.
        """
        left = count
        self.branch_count += count - 1

        def end_one() -> None:
            nonlocal left
            if left > 1:
                left -= 1
                self.branch_count -= 1

        try:
            yield end_one
        finally:
            self.branch_count -= left - 1

    @contextmanager
    def tool_call(self, *, repeatable: bool) -> Generator[None]:
        """Count a call of a tool inside."""
        self.tool_count += 1
        self.unrepeatable_count += not repeatable
        try:
            yield
        finally:
            self.tool_count -= 1
            self.unrepeatable_count -= not repeatable

    @contextmanager
    def waiting(self, awaited: Collection[str]) -> Generator[None]:
        """Count inside something that waits for what may take days; who waits keeps `awaited` as it is by now."""
        wait = object()
        self.waits[wait] = awaited
        try:
            yield
        finally:
            del self.waits[wait]
