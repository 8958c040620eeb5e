"""Named gates at which the tools of another process wait for the test."""

import asyncio
from typing import Self

from musterd.testing.model_gates import Gates

GUARD_SECONDS = 60


class ToolGates:
    """A tool connects to `address`, writes the name of a gate in a line, and is answered when it may go on."""

    def __init__(self) -> None:
        self._gates = Gates()
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._receive, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._visits)
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Where tools knock, as host:port."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def reached(self, name: str) -> None:
        """Return once a tool waits at the gate."""
        async with asyncio.timeout(GUARD_SECONDS):
            await self._gates.reached(name, 1)

    def release(self, name: str) -> None:
        """Let tools pass, those that wait and those that come."""
        self._gates.release(name)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        self._visits.add(visit)
        name = (await reader.readline()).decode().strip()
        passing = asyncio.create_task(self._gates.enter(name))
        leaving = asyncio.create_task(reader.read())
        await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            writer.write(b"pass\n")
        for task in (passing, leaving):
            task.cancel()
        await asyncio.gather(passing, leaving, return_exceptions=True)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        self._visits.discard(visit)
