"""Stores that follow each other on the same data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from musterd.domain.event import Event
from musterd.domain.full_store import FullStore

MakeStore = Callable[[], FullStore]
Restart = Callable[[], Awaitable[FullStore]]


@dataclass
class Incarnations:
    """Opens one store after the other on the same data, as processes that follow each other do."""

    make_store: MakeStore
    committed: list[Event]
    opened: list[FullStore] = field(default_factory=list[FullStore])

    async def close(self) -> None:
        """Close the store that is open."""
        for store in self.opened:
            await store.close()
        self.opened.clear()

    async def restart(self) -> FullStore:
        """Close the store that is open, and open the next."""
        await self.close()
        store = self.make_store()
        await store.open(self.committed.extend)
        self.opened.append(store)
        return store
