from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.client.scripted import ScriptedServer

from musterd_client import MusterdClient, RetryPolicy

QUICK = RetryPolicy(call_attempts=3, resume_attempts=3, initial_delay_seconds=0.001, max_delay_seconds=0.002)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(tmp_path / "grpc.sock") as scripted:
        yield scripted


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[MusterdClient]:
    async with MusterdClient(server.target, retry=QUICK, stall_timeout_seconds=30) as opened:
        yield opened
