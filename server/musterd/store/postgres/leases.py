"""Which owners of tasks live: each has a lease, which runs out unless it is renewed."""

from datetime import datetime

from musterd.store.encoding import from_micros
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.statements import load_statement

_ADD = load_statement("add_replica")
_RENEW = load_statement("renew_replica")
_REMOVE = load_statement("remove_replica")
_FORGET_DEAD = load_statement("forget_dead_replicas")


async def add_lease(connection: Connection, owner: str, seconds: float) -> datetime:
    """Let a new owner live, and return until when by the database's clock. Raises ValueError for one that was there."""
    expires_at = await connection.fetchval(_ADD, owner, round(seconds * 1_000_000))
    if expires_at is None:
        raise ValueError(f"the owner {owner!r} has had a lease: every process needs a name of its own each time")
    return from_micros(expires_at)


async def renew_lease(connection: Connection, owner: str, seconds: float) -> datetime | None:
    """Let an owner go on, and return until when; None when its lease has run out: it stays dead."""
    expires_at = await connection.fetchval(_RENEW, owner, round(seconds * 1_000_000))
    return None if expires_at is None else from_micros(expires_at)


async def forget_dead(connection: Connection, seconds: float) -> None:
    """Forget owners whose leases ran out so long ago."""
    await connection.execute(_FORGET_DEAD, round(seconds * 1_000_000))


async def end_lease(connection: Connection, owner: str) -> None:
    """Let an owner be dead from now on."""
    await connection.execute(_REMOVE, owner)
