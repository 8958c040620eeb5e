"""A connection to PostgreSQL that breaks where a test wants it to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Hands bytes on between clients and the server. `break_at` breaks one connection, once."""

    def __init__(self, dsn: str) -> None:
        self._target = urlsplit(dsn)
        self._trigger: bytes | None = None
        self._hands_on = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen, and return the DSN that leads through here."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{port}"))

    async def close(self) -> None:
        """Break all connections, and listen no more."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def break_at(self, trigger: bytes, *, after: bool) -> None:
        """Break the connection that says `trigger` next: before the server hears of it, or after it has answered."""
        self._trigger, self._hands_on = trigger, after

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Our own task, which closing may cancel: asyncio reports those that it makes for connections itself.
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The server may be away, and either side may be killed.
        with suppress(OSError, asyncio.IncompleteReadError):
            upstream = await asyncio.open_connection(self._target.hostname, self._target.port)
            try:
                await self._carry(reader, writer, *upstream)
            finally:
                upstream[1].close()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        back = asyncio.create_task(_copy(upstream_reader, writer))
        try:
            while data := await reader.read(65536):
                if self._trigger is not None and self._trigger in data:
                    self._trigger = None
                    if self._hands_on:
                        # What the server answers is read here, and told to nobody.
                        back.cancel()
                        await asyncio.wait((back,))
                        upstream_writer.write(data)
                        await upstream_reader.read(65536)
                    return
                upstream_writer.write(data)
        finally:
            back.cancel()
            await asyncio.wait((back,))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    # Who is hung up on hears of it.
    writer.close()


@asynccontextmanager
async def proxy_to(dsn: str) -> AsyncGenerator[tuple[Proxy, str]]:
    """Yield a proxy that runs, with the DSN that leads through it."""
    proxy = Proxy(dsn)
    try:
        yield proxy, await proxy.start()
    finally:
        await proxy.close()
