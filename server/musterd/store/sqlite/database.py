"""A database that this process has taken."""

import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from musterd.store.errors import StoreOpenError
from musterd.store.sqlite.files import (
    FileLock,
    check_place,
    connect_reader,
    connect_writer,
    lock_path,
    make_private,
)
from musterd.store.sqlite.schema import migrate


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Two connections to one file, and the lock on it. `resources` closes them in the right order."""

    writer: sqlite3.Connection
    reader: sqlite3.Connection
    resources: ExitStack

    def close(self) -> None:
        """Let go of the file."""
        self.resources.close()


def open_database(path: Path, now_micros: int) -> Database:
    """Take a file, new or old, and bring its schema up to date. Raises StoreOpenError, having let go of it."""
    check_place(path)
    with ExitStack() as resources:
        resources.callback(FileLock(lock_path(path)).release)
        try:
            make_private(path)
            writer = connect_writer(path)
            resources.callback(writer.close)
            migrate(writer, now_micros)
            reader = connect_reader(path)
            resources.callback(reader.close)
        except (sqlite3.Error, OSError) as error:
            raise StoreOpenError(f"the database {path} cannot be opened: {error}") from error
        return Database(writer=writer, reader=reader, resources=resources.pop_all())
    raise AssertionError
