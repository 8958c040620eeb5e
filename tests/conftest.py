"""What all tests may ask for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bound_dsn(postgres_dsn: str) -> AsyncIterator[str]:
    """Return where the PostgreSQL of this session is, for a role that the policies of tenants bind."""
    role, password = f"role_{uuid4().hex}", uuid4().hex
    url = urlsplit(postgres_dsn)
    superuser = await asyncpg.connect(postgres_dsn)
    name = quote(await superuser.fetchval("SELECT current_database()"))
    await superuser.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD '{password}' NOSUPERUSER NOBYPASSRLS;"
        f"GRANT CREATE ON DATABASE {name} TO {role}"
    )
    address = url.netloc.rpartition("@")[2]
    yield urlunsplit(url._replace(netloc=f"{role}:{password}@{address}"))
    await superuser.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
    await superuser.close()


@pytest.fixture
def bound_database(postgres_database: Database, bound_dsn: str) -> Database:
    """Return an empty database of that role, which will own the schema."""
    return replace(postgres_database, dsn=bound_dsn)
