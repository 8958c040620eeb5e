"""A store that dies at a chosen commit, as the process around it would: nothing that comes after has any effect."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from musterd.domain.approval_store import Resolved
from musterd.domain.full_store import FullStore
from musterd.domain.hook_store import ClaimedHookRun
from musterd.domain.orders import CancelRecord, Steer
from musterd.domain.ports import (
    AskedQuestion,
    BoardRecord,
    ClaimedTask,
    CommitListener,
    Created,
    Lost,
    NewTask,
    Stored,
    TaskWrite,
)
from musterd.domain.task import Approval, Task

T = TypeVar("T")


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

    def __init__(self, store: FullStore, cut: Cut) -> None:
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

    async def add_steer(self, *arguments: Any) -> tuple[Steer, Task]:
        return await self._commit(self._store.add_steer, *arguments)

    async def ask(self, *arguments: Any, **options: Any) -> AskedQuestion | Lost:
        return await self._commit(self._store.ask, *arguments, **options)

    async def answer(self, *arguments: Any, **options: Any) -> Task:
        return await self._commit(self._store.answer, *arguments, **options)

    async def expire_question(self, *arguments: Any) -> AskedQuestion | Lost:
        return await self._commit(self._store.expire_question, *arguments)

    async def request_approvals(self, *arguments: Any, **options: Any) -> Sequence[Approval] | Lost:
        return await self._commit(self._store.request_approvals, *arguments, **options)

    async def resolve(self, *arguments: Any, **options: Any) -> Resolved:
        return await self._commit(self._store.resolve, *arguments, **options)

    async def expire_approvals(self, *arguments: Any) -> Sequence[Approval] | Lost:
        return await self._commit(self._store.expire_approvals, *arguments)

    async def park(self, *arguments: Any) -> bool | Lost:
        return await self._commit(self._store.park, *arguments)

    async def change_board(self, *arguments: Any, **options: Any) -> BoardRecord:
        return await self._commit(self._store.change_board, *arguments, **options)

    async def request_cancel(self, *arguments: Any) -> CancelRecord:
        return await self._commit(self._store.request_cancel, *arguments)

    async def claim(self, *arguments: Any) -> Sequence[ClaimedTask]:
        """Claim. One that finds nothing is no commit; one that finds something can only be cut after it."""
        await self._live()
        claimed = await self._store.claim(*arguments)
        if claimed and self._cut.next_commit():
            self._cut.happened.set()
        await self._live()
        return claimed

    async def release_task(self, task_id: str, attempt: int, *, may_park: bool = True) -> None:
        if not self._cut.happened.is_set():
            await self._store.release_task(task_id, attempt, may_park=may_park)

    async def claim_hook_runs(self, *arguments: Any) -> Sequence[ClaimedHookRun]:
        """Claim hooks, with the same rule."""
        await self._live()
        claimed = await self._store.claim_hook_runs(*arguments)
        if claimed and self._cut.next_commit():
            self._cut.happened.set()
        await self._live()
        return claimed

    async def finish_hook_run(self, *arguments: Any, **options: Any) -> bool:
        return await self._commit(self._store.finish_hook_run, *arguments, **options)

    async def _commit(self, operation: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        await self._live()
        is_here = self._cut.next_commit()
        if is_here and not self._cut.after:
            self._cut.happened.set()
        await self._live()
        result = await operation(*arguments, **options)
        if is_here:
            self._cut.happened.set()
        await self._live()
        return result

    async def _live(self) -> None:
        """Pass, or never return once the store has died."""
        if self._cut.happened.is_set():
            await asyncio.get_running_loop().create_future()
