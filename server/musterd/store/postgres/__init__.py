"""The store in one PostgreSQL database, for any number of processes."""

from musterd.store.postgres.adapter import PostgresStore
from musterd.store.postgres.bus import PostgresBus
from musterd.store.postgres.connection import Database
from musterd.store.postgres.schema import migrate

__all__ = ["Database", "PostgresBus", "PostgresStore", "migrate"]
