"""The store in one SQLite file, for one process."""

from musterd.store.sqlite.adapter import SqliteStore

__all__ = ["SqliteStore"]
