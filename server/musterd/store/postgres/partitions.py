"""Partitions of the event table: one for each day on which trees are made."""

from datetime import UTC, datetime, timedelta

import structlog
from asyncpg import exceptions

from musterd.store.postgres.connection import Connection
from musterd.store.postgres.statements import load_statement

logger = structlog.get_logger(__name__)

DAYS_AHEAD = 7
"""How many days have their partition before they come."""

_LIST_TABLES = load_statement("list_tables")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def ensure_partitions(connection: Connection, now: datetime) -> None:
    """Make the partitions of today and of the days ahead that are missing.

    A day whose events are in the default partition already stays there.
    """
    today = (now - _EPOCH).days
    tables = {row["tablename"] for row in await connection.fetch(_LIST_TABLES)}
    for day in range(today, today + DAYS_AHEAD + 1):
        if _name(day) in tables:
            continue
        try:
            await connection.execute(_create(day))
        except exceptions.CheckViolationError:
            logger.warning("partition_not_made", name=_name(day), error="the default partition has events of this day")


def _name(day: int) -> str:
    return f"event_{_EPOCH + timedelta(days=day):%Y%m%d}"


def _create(day: int) -> str:
    """Return a script that is one transaction. There are no rows in the partition but through the table of events."""
    name = _name(day)
    return f"""
        CREATE TABLE IF NOT EXISTS {name} PARTITION OF event FOR VALUES FROM ({day}) TO ({day + 1});
        ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY
    """
