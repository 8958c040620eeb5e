import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.client.scripted import ScriptedServer
from typer.testing import CliRunner, Result

from musterd.cli import app

WIDTH = "200"
"""In characters: what commands say about wrong usage is broken into lines by it."""


@pytest.fixture
def server_in_thread(tmp_path: Path) -> Iterator[ScriptedServer]:
    """A server on an event loop of its own, for commands: they run one themselves."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        started: Future[tuple[ScriptedServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

        async def serve() -> None:
            stop = asyncio.Event()
            async with ScriptedServer(tmp_path / "grpc.sock") as scripted:
                started.set_result((scripted, asyncio.get_running_loop(), stop))
                await stop.wait()

        serving = executor.submit(asyncio.run, serve())
        scripted, loop, stop = started.result()
        yield scripted
        loop.call_soon_threadsafe(stop.set)
        serving.result()


@pytest.fixture
def musterd(server_in_thread: ScriptedServer) -> Callable[..., Result]:
    """Runs the command line against the server, in a terminal of the same width wherever the tests run."""

    def invoke(*arguments: str, **environment: str) -> Result:
        own = {"MUSTERD_TARGET": server_in_thread.target, "MUSTERD_TOKEN": None, "COLUMNS": WIDTH}
        env = {**own, **environment}
        return CliRunner().invoke(app, arguments, env=env)

    return invoke
