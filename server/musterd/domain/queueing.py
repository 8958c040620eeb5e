"""Who runs next, and how many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

QUEUE_STEP_SECONDS = 60.0
"""How much older a waiting task counts for each step of its priority."""

Group = tuple[str, ...]
"""Tasks that share a cap: ("tenant", tenant id), ("user", tenant id, user id) or ("tree", root task id)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many tasks may run at a time, in one process and in each group; None is no cap of that kind."""

    in_all: int
    per_tenant: int | None = None
    per_user: int | None = None
    per_tree: int | None = None

    def of(self, tenant_id: str, user_id: str, root_task_id: str) -> Sequence[tuple[Group, int]]:
        """Return the groups of a task that have a cap, with it."""
        groups: tuple[tuple[Group, int | None], ...] = (
            (("tenant", tenant_id), self.per_tenant),
            (("user", tenant_id, user_id), self.per_user),
            (("tree", root_task_id), self.per_tree),
        )
        return [(group, cap) for group, cap in groups if cap is not None]
