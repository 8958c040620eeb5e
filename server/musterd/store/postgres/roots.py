"""Which tree each task is in: that never changes."""

from collections.abc import Collection, Iterable

import asyncpg

from musterd.domain.event import Event
from musterd.store.postgres.statements import load_statement

KNOWN_TASKS_MAX = 50_000

_FIND = load_statement("find_roots")


class Roots:
    """Remembers the trees of tasks."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def learn(self, events: Iterable[Event]) -> None:
        """Remember the trees of the tasks that events are about."""
        if len(self._known) > KNOWN_TASKS_MAX:
            self._known.clear()
        for event in events:
            self._known[event.task_id] = event.root_task_id

    async def of(self, task_ids: Collection[str], pool: "asyncpg.Pool[asyncpg.Record]") -> Collection[str]:
        """Return the ids of the trees of tasks, of those that exist."""
        # Kept apart: what was known at first may be forgotten while the others are looked for.
        known = {task_id: self._known[task_id] for task_id in task_ids if task_id in self._known}
        unknown = [task_id for task_id in task_ids if task_id not in known]
        if unknown:
            found = {row["task_id"]: row["root_task_id"] for row in await pool.fetch(_FIND, unknown)}
            self._known |= found
            known |= found
        return set(known.values())
