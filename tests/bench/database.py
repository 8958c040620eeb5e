"""A PostgreSQL for the bench, on the core of the load, so that it takes nothing from the servers."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.support.postgres import PostgresServer, own_postgres
from tests.support.process_costs import cpu_seconds_of

from musterd.settings import migrate_store
from musterd.settings.store import StoreSettings

DURABLE = {"shared_buffers": "512MB"}
"""What is committed is on the disk."""

QUICK = {**DURABLE, "fsync": "off"}
"""Nothing waits for the disk, which would hide what else there is."""


@asynccontextmanager
async def new_postgres(settings: Mapping[str, str]) -> AsyncGenerator[PostgresServer]:
    """Give a new server."""
    with own_postgres(dict(settings)) as server:
        yield server


async def new_store(server: PostgresServer) -> dict[str, str]:
    """Return the settings of a new, empty store."""
    settings = {"url": server.dsn, "db_schema": f"bench_{uuid4().hex}"}
    await migrate_store(StoreSettings.model_validate(settings))
    return settings


def database_cpu_seconds(server: PostgresServer) -> float:
    """Return the CPU time of all processes of a server that live."""
    return sum(map(cpu_seconds_of, server.process_ids))
