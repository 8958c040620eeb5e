"""Partitions of the event table: one for each day on which trees are made."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import structlog
from asyncpg import exceptions

from musterd.store.postgres.connection import Connection
from musterd.store.postgres.statements import load_statement

logger = structlog.get_logger(__name__)

DAYS_AHEAD = 7
"""How many days have their partition before they come."""

LOCK_TIMEOUT_MS = 200
"""How long all who write events may have to wait for a partition to be made or dropped."""

_LIST_TABLES = load_statement("list_tables")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"event_(\d{8})")
# Whoever comes to the table of events waits behind one who waits for it as a whole.
_GIVE_UP_EARLY = f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', true)"


async def ensure_partitions(connection: Connection, now: datetime) -> None:
    """Make the partitions of today and of the days ahead that are missing.

    A day whose events are in the default partition already stays there.
    """
    today = (now - _EPOCH).days
    found = await list_partitions(connection)
    for day in range(today, today + DAYS_AHEAD + 1):
        if day in found:
            continue
        try:
            await connection.execute(_create(day))
        except exceptions.DuplicateTableError:
            # Another process made it at the same moment.
            continue
        except exceptions.LockNotAvailableError:
            logger.info("partition_not_made", name=_name(day), error="others are at the table of events: later")
            return
        except exceptions.CheckViolationError:
            logger.warning("partition_not_made", name=_name(day), error="the default partition has events of this day")


async def list_partitions(connection: Connection) -> Collection[int]:
    """Return the days that have a partition of their own, counted from 1970."""
    tables = [row["tablename"] for row in await connection.fetch(_LIST_TABLES)]
    return {
        (datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC) - _EPOCH).days
        for match in map(_NAME.fullmatch, tables)
        if match is not None
    }


async def drop_partition(connection: Connection, day: int) -> bool:
    """Drop the partition of a day with all its events. Returns False when others have the table for too long."""
    try:
        await connection.execute(_drop(day))
    except exceptions.LockNotAvailableError:
        logger.info("partition_not_dropped", name=_name(day), error="others are at the table of events: later")
        return False
    logger.info("partition_dropped", name=_name(day))
    return True


def _name(day: int) -> str:
    return f"event_{_EPOCH + timedelta(days=day):%Y%m%d}"


def _create(day: int) -> str:
    """Return a script that is one transaction. There are no rows in the partition but through the table of events."""
    name = _name(day)
    return f"""
        {_GIVE_UP_EARLY};
        CREATE TABLE IF NOT EXISTS {name} PARTITION OF event FOR VALUES FROM ({day}) TO ({day + 1});
        ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY
    """


def _drop(day: int) -> str:
    """Return a script that is one transaction."""
    return f"""
        {_GIVE_UP_EARLY};
        DROP TABLE IF EXISTS {_name(day)}
    """
