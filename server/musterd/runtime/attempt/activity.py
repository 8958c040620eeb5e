"""What one attempt does at the same time, and how much of that only waits."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Activity:
    """What goes on in one attempt.

    `branch_count` is how many parts of it run at the same time: one, but in a workflow's parallel steps; `has_branches`
    stays true when those are cut off. `tool_count` counts the calls of tools, `unrepeatable_count` those of them that
    must not be cut off. `waiting_count` is how many of all these wait for what may take days.
    """

    branch_count: int = 1
    has_branches: bool = False
    tool_count: int = 0
    unrepeatable_count: int = 0
    waiting_count: int = 0

    @property
    def only_waits(self) -> bool:
        """Whether all that goes on waits for what may take days, and may begin to wait again in another attempt."""
        return self.unrepeatable_count == 0 and self.waiting_count >= max(self.branch_count, self.tool_count)

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
    def waiting(self) -> Generator[None]:
        """Count inside something that waits for what may take days."""
        self.waiting_count += 1
        try:
            yield
        finally:
            self.waiting_count -= 1
