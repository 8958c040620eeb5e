"""The database file: who may open it, how, and for whom its mode lets it be read."""

import fcntl
import os
import sqlite3
from pathlib import Path

from musterd.store.errors import StoreOpenError

OLDEST_SQLITE = (3, 33)
FILE_MODE = 0o600

BUSY_TIMEOUT_SECONDS = 5.0
CACHE_KIBIBYTES = 16 * 1024
WAL_KEPT_BYTES = 64 * 1024 * 1024
CACHED_STATEMENTS = 512


class FileLock:
    """Keeps a second process from a database; the system takes it from a process that dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises StoreOpenError when another process has it."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(self._file, FILE_MODE)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode(errors="replace") or "unknown"
            os.close(self._file)
            raise StoreOpenError(
                f"{path.with_suffix('')} is in use by another server (process {holder}): "
                "stop that one, or give this one a database file of its own"
            ) from None
        except OSError as error:
            os.close(self._file)
            raise StoreOpenError(f"{path} cannot be locked ({error}): put the database on a local disk") from error

    def release(self) -> None:
        """Let others have the database."""
        os.close(self._file)


def lock_path(path: Path) -> Path:
    """Return the path of a database's lock file."""
    return path.with_name(f"{path.name}.lock")


def check_place(path: Path) -> None:
    """Raise StoreOpenError when no database can be opened there."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreOpenError(
            f"this Python has SQLite {sqlite3.sqlite_version}, and {'.'.join(map(str, OLDEST_SQLITE))} is the oldest "
            "that will do: use a newer Python, or PostgreSQL as the store"
        )
    if not path.parent.is_dir():
        raise StoreOpenError(f"the directory {path.parent} of the database does not exist: make it, or name another")


def make_private(path: Path) -> None:
    """Make the database file, a new or an old one, readable by this user alone."""
    path.touch(mode=FILE_MODE, exist_ok=True)
    # SQLite gives the files beside it the mode of the database itself.
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.chmod(FILE_MODE)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Return the one connection that writes: a commit is on the disk when it returns."""
    connection = _connect(path.absolute().as_uri())
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        connection.close()
        raise StoreOpenError(f"{path} cannot have a write-ahead log: put the database on a local disk")
    for pragma in (
        "synchronous = FULL",
        "fullfsync = ON",
        "checkpoint_fullfsync = ON",
        f"journal_size_limit = {WAL_KEPT_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write."""
    return _connect(f"{path.absolute().as_uri()}?mode=ro")


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        # Opened in one thread, then used in one other: never in two at once.
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
