"""What all tests may ask for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import pytest
from tests.support.postgres import running_postgres

from musterd.store.postgres.connection import Database, quote


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """Return where the PostgreSQL of this session is."""
    with running_postgres() as dsn:
        yield dsn


@pytest.fixture
async def postgres_database(postgres_dsn: str) -> AsyncIterator[Database]:
    """Return an empty database: a schema that no other test has."""
    database = Database(dsn=postgres_dsn, schema=f"test_{uuid4().hex}")
    yield database
    connection = await asyncio.wait_for(asyncpg.connect(postgres_dsn), timeout=10)
    try:
        await connection.execute(f"DROP SCHEMA IF EXISTS {quote(database.schema)} CASCADE")
    finally:
        await connection.close()
