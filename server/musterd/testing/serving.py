"""Serves an app in this process, on a unix socket and a database of its own."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from musterd.app import Musterd, Service
from musterd.domain.clock import Clock
from musterd.domain.full_store import FullStore
from musterd.settings import Settings
from musterd_client import MusterdClient


@asynccontextmanager
async def serve(
    app: Musterd,
    *,
    token: str | None = None,
    folder: Path | None = None,
    store: FullStore | None = None,
    clock: Clock | None = None,
    **sections: dict[str, Any],
) -> AsyncGenerator[MusterdClient]:
    """Serve an app over a real unix socket with a real SQLite file, and give a client of it.

    `folder` keeps the database and the socket, a temporary one if it is None: serve twice on the same folder to see
    what survives a restart. `sections` are settings, for example `auth={"mode": "jwt", …}`; `token` is the client's.
    """
    with tempfile.TemporaryDirectory(prefix="musterd-") as temporary:
        here = folder or Path(temporary)
        settings = serve_settings(here, **sections)
        service = Service(app, settings, store=store, clock=clock)
        await service.start()
        try:
            async with MusterdClient(f"unix:{settings.server.unix_socket}", token=token) as client:
                yield client
        finally:
            await service.stop()


def serve_settings(folder: Path, **sections: dict[str, Any]) -> Settings:
    """Return settings for a server that lives in a folder: a unix socket, a database, no grace when it stops."""
    server = {
        "listen": "",
        "unix_socket": folder / "musterd.sock",
        "shutdown_grace_seconds": 0,
        **sections.pop("server", {}),
    }
    store = {"url": f"sqlite:///{folder / 'musterd.db'}", **sections.pop("store", {})}
    return Settings.model_validate({"server": server, "store": store, **sections})
