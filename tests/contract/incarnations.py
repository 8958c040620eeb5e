"""Stores that follow each other on the same data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from musterd.domain.event import Event
from musterd.domain.ports import Store

MakeStore = Callable[[], Store]
Restart = Callable[[], Awaitable[Store]]


@dataclass
class Incarnations:
    """Opens one store after the other on the same data, as processes that follow each other do."""

    make_store: MakeStore
    committed: list[Event]
    opened: list[Store] = field(default_factory=list[Store])

    async def close(self) -> None:
        """Close the store that is open."""
        for store in self.opened:
            await store.close()
        self.opened.clear()

    async def restart(self) -> Store:
        """Close the store that is open, and open the next."""
        await self.close()
        store = self.make_store()
        await store.open(self.committed.extend)
        self.opened.append(store)
        return store
