"""A connection that is at hand for what is done all the time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


class KeptConnection:
    """Keeps one connection of a pool: to ask the pool each time takes as long as a short statement.

    While it is in use, whoever comes then gets another one of the pool.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._kept: PoolConnectionProxy[asyncpg.Record] | None = None
        self._is_used = False

    @asynccontextmanager
    async def use(self) -> "AsyncGenerator[PoolConnectionProxy[asyncpg.Record]]":
        """Give a connection. One on which something fails is kept no longer."""
        if self._is_used:
            async with self._pool.acquire() as connection:
                yield connection
            return
        self._is_used = True
        try:
            if self._kept is None or self._kept.is_closed():
                await self.close()
                self._kept = await self._pool.acquire()
            yield self._kept
        except BaseException:
            await self.close()
            raise
        finally:
            self._is_used = False

    async def close(self) -> None:
        """Give the connection back."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(asyncpg.InterfaceError, OSError):
                await self._pool.release(kept)
