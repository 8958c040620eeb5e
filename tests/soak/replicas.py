"""Three replicas on one PostgreSQL, straight at it, and a client that spreads its calls over those that live."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.fault.cluster import LEASE_SECONDS, PATIENT, REPLICAS, find_port
from tests.support.process_costs import memory_bytes_of
from tests.support.processes import Process

from musterd.settings import migrate_store
from musterd.settings.store import StoreSettings
from musterd_client import MusterdClient

APPS = Path(__file__).parent / "apps"

EACH_IN_TURN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


Memory = Sequence[tuple[int, int]]
"""How many runs of all replicas had ended, and how many bytes a process had then."""


class Replica:
    """One process, in its lives after each other. `memory` is that of the last one."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        self.name = name
        self.address = f"127.0.0.1:{find_port()}"
        self.lives = 0
        self.memory: list[tuple[int, int]] = []
        self._folder = folder
        self._variables = {**variables, "MUSTERD_SERVER__LISTEN": self.address}
        self._life = AsyncExitStack()
        self._process: Process | None = None

    async def begin(self) -> None:
        """Start the process, and return once it takes calls."""
        serve = Process("musterd", "serve", "mill:app", folder=self._folder, variables=self._variables)
        process = await self._life.enter_async_context(serve)
        await process.logged("serving")
        self._process = process
        self.lives += 1
        self.memory = []

    async def kill(self) -> None:
        """Send SIGKILL, and return once the process is gone."""
        self._process = None
        await self._life.aclose()

    def look(self, ended: int) -> None:
        """Note its memory."""
        if self._process is not None:
            self.memory.append((ended, memory_bytes_of(self._process.process_id)))


@dataclass(frozen=True, kw_only=True)
class Mill:
    """The replicas, and what outlives them. Only the last one is never killed."""

    replicas: Sequence[Replica]
    dsn: str
    schema: str
    ledger_file: Path

    def client(self) -> MusterdClient:
        """Return a client whose calls go to one replica after the other."""
        return MusterdClient(
            f"ipv4:{','.join(replica.address for replica in self.replicas)}",
            retry=PATIENT,
            channel_options={
                "grpc.service_config": EACH_IN_TURN,
                "grpc.max_reconnect_backoff_ms": 200,
                "grpc.default_authority": "localhost",
            },
        )


@asynccontextmanager
async def open_mill(folder: Path, dsn: str) -> AsyncGenerator[Mill]:
    """Give replicas that take calls, on a schema of their own."""
    schema = f"soak_{uuid4().hex}"
    await migrate_store(StoreSettings(url=dsn, db_schema=schema))
    ledger = folder / "ledger.txt"
    variables = {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(APPS), os.environ.get("PYTHONPATH")))),
        "MILL_LEDGER": str(ledger),
        "MUSTERD_STORE__URL": dsn,
        "MUSTERD_STORE__DB_SCHEMA": schema,
        "MUSTERD_STORE__LEASE_SECONDS": str(LEASE_SECONDS),
        "MUSTERD_LOG__FORMAT": "json",
    }
    async with AsyncExitStack() as stack:
        replicas = [Replica(f"replica {number}", folder, variables) for number in range(1, REPLICAS + 1)]
        for replica in replicas:
            stack.push_async_callback(replica.kill)
        async with asyncio.TaskGroup() as starting:
            for replica in replicas:
                starting.create_task(replica.begin())
        yield Mill(replicas=replicas, dsn=dsn, schema=schema, ledger_file=ledger)
