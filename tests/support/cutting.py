"""A store that dies at a chosen commit, as the process around it would: nothing that comes after has any effect."""

import asyncio
from collections.abc import Sequence
from typing import Any

from musterd.domain.ports import CommitListener, Created, Lost, NewTask, Store, Stored, TaskWrite


class Cut:
    """Cuts before or after commit number `at`, counted from 1; 0 never cuts."""

    def __init__(self, at: int, *, after: bool = False) -> None:
        self.at = at
        self.after = after
        self.commits = 0
        self.happened = asyncio.Event()

    def next_commit(self) -> bool:
        """Count a commit; True when it is the one to cut at."""
        self.commits += 1
        return self.commits == self.at


class CuttingStore:
    """Hands everything to a real store until the cut, then never answers again."""

    def __init__(self, store: Store, cut: Cut) -> None:
        self._store = store
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def open(self, on_commit: CommitListener) -> None:
        await self._store.open(lambda events: None if self._cut.happened.is_set() else on_commit(events))

    async def create_task(self, new: NewTask) -> Created:
        return await self._commit(self._store.create_task, new)

    async def write(self, writes: Sequence[TaskWrite]) -> Sequence[Stored | Lost]:
        return await self._commit(self._store.write, writes)

    async def release_task(self, task_id: str, attempt: int) -> None:
        if not self._cut.happened.is_set():
            await self._store.release_task(task_id, attempt)

    async def _commit(self, operation: Any, argument: Any) -> Any:
        if self._cut.happened.is_set():
            await _never()
        is_here = self._cut.next_commit()
        if is_here and not self._cut.after:
            self._cut.happened.set()
            await _never()
        result = await operation(argument)
        if is_here:
            self._cut.happened.set()
            await _never()
        return result


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
