"""A small HTTP server on loopback, in the event loop of whoever starts it."""

from __future__ import annotations

import asyncio
from typing import Self

from starlette.types import ASGIApp, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

# A pooled connection that the server gives up just when the client reuses it would be a random failure.
KEEP_ALIVE_SECONDS = 3600


class LoopbackServer:
    """Serves an ASGI application on a free port of 127.0.0.1, with uvicorn's HTTP protocol on a listener of its own.

    `uvicorn.Server` around it would take over the process's signals and stop no faster than its 100 ms tick.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._config = Config(
            app,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._state = ServerState()
        self._connections: set[_Connection] = set()
        self._listener: asyncio.Server | None = None
        self._url = ""

    async def __aenter__(self) -> Self:
        # Given a socket of socket.create_server, asyncio would leave Nagle's algorithm on: 40 ms for most answers.
        self._listener = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        port: int = self._listener.sockets[0].getsockname()[1]
        self._url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut all connections, and return when every answer that was under way has ended."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in tuple(self._connections):
            connection.transport.abort()
            await connection.closed.wait()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)
        await self._listener.wait_closed()
        self._listener = None

    @property
    def url(self) -> str:
        """Where the server listens. RuntimeError when it does not."""
        if self._listener is None:
            raise RuntimeError("the server is not running: enter it with `async with` first")
        return self._url

    def _accept(self) -> asyncio.Protocol:
        return _Connection(self._config, self._state, self._connections)


class _Connection(H11Protocol):
    """An HTTP connection that applications can cut through their scope."""

    def __init__(self, config: Config, state: ServerState, siblings: set[_Connection]) -> None:
        super().__init__(config, state, {})
        self.closed = asyncio.Event()
        self._siblings = siblings

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._siblings.add(self)
        self.app_state = {"transport": transport}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._siblings.discard(self)
        self.closed.set()


def cut(scope: Scope) -> None:
    """Close the connection that `scope` came in on, without a word."""
    transport: asyncio.Transport = scope["state"]["transport"]
    transport.abort()
