"""A store that tells which of its tasks were parked, and a server that parks what waits at once."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import Gate

from musterd import Musterd
from musterd.domain.full_store import FullStore
from musterd.domain.ports import ClaimedTask, Lost
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client import MusterdClient

AT_ONCE: dict[str, Any] = {"approval_park_seconds": 0}


class Lot:
    """A real store, and which of its tasks were parked.

    While there is a gate, tasks that have others below them are parked only once it is open, and what a claim has found
    is handed over only then.
    """

    def __init__(self, store: SqliteStore) -> None:
        self.parks: Gate | None = None
        self.claims: Gate | None = None
        self._store = store
        self._parked: list[str] = []
        self._changed = asyncio.Condition()

    async def park(self, task_id: str, attempt: int, **known: Any) -> bool | Lost:
        if self.parks is not None and await self._store.get_descendants(task_id):
            await self.parks.wait()
        parked = await self._store.park(task_id, attempt, **known)
        if parked is True:
            async with self._changed:
                self._parked.append(task_id)
                self._changed.notify_all()
        return parked

    async def claim(self, *asked: Any) -> Sequence[ClaimedTask]:
        claimed = await self._store.claim(*asked)
        if self.claims is not None:
            await self.claims.wait()
        return claimed

    async def holds(self, task_id: str) -> None:
        """Return once a task is parked."""
        async with self._changed:
            await self._changed.wait_for(lambda: task_id in self._parked)
            self._parked.remove(task_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@asynccontextmanager
async def parking(folder: Path, app: Musterd) -> AsyncGenerator[tuple[MusterdClient, Lot]]:
    """Serve an app that keeps nothing in memory which waits for somebody."""
    lot = Lot(SqliteStore(folder / "musterd.db"))
    async with asyncio.timeout(GUARD_SECONDS), serve(app, store=cast("FullStore", lot), runtime=AT_ONCE) as client:
        yield client, lot
