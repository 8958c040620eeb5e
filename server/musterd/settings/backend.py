"""The store that the settings ask for, and how its processes talk to each other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from musterd.domain.bus import Bus
from musterd.domain.full_store import FullStore
from musterd.settings.store import StoreSettings
from musterd.store.errors import StoreOpenError
from musterd.store.retention import Retention

if TYPE_CHECKING:
    from musterd.store.postgres import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A store, and the bus of the processes that share it; a store for one process has none."""

    store: FullStore
    bus: Bus | None = None


def build_backend(settings: StoreSettings) -> Backend:
    """Return the store, not yet opened. Must be called on the event loop that uses it."""
    # Each store brings its driver, and a server needs one of them.
    if not settings.is_shared:
        from musterd.store.sqlite import SqliteStore  # noqa: PLC0415

        return Backend(store=SqliteStore(settings.sqlite_file, retention=_retention_of(settings)))
    from musterd.store.postgres import PostgresBus, PostgresStore  # noqa: PLC0415

    database = _database_of(settings)
    store = PostgresStore(database, migrates=False, retention=_retention_of(settings))
    return Backend(store=store, bus=PostgresBus(database))


async def migrate_store(settings: StoreSettings) -> None:
    """Bring the schema of a PostgreSQL database up to date. Raises StoreOpenError."""
    if not settings.is_shared:
        raise StoreOpenError(f"{settings.url} is no PostgreSQL database; `musterd serve` migrates SQLite files itself")
    from musterd.store.postgres import migrate  # noqa: PLC0415

    await migrate(_database_of(settings), None)


def _retention_of(settings: StoreSettings) -> Retention:
    return Retention(event_days=settings.event_retention_days or None, task_days=settings.task_retention_days or None)


def _database_of(settings: StoreSettings) -> "Database":
    from musterd.store.postgres import Database  # noqa: PLC0415

    return Database(
        dsn=settings.url,
        schema=settings.db_schema,
        connections_max=settings.connections_max,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
