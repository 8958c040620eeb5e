"""Numbered migrations: plain SQL files whose checksums are kept in the database that they were applied to."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from musterd.store.errors import StoreOpenError

_FILE_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of a schema."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The checksum of the SQL text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a database says about a migration that it has had."""

    name: str
    sha256: str


def load_migrations(package: str) -> Sequence[Migration]:
    """Return the migrations in a package's folder `migrations`, in order."""
    found = [
        Migration(number=int(match["number"]), name=entry.name.removesuffix(".sql"), sql=entry.read_text("utf-8"))
        for entry in (files(package) / "migrations").iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


def find_pending(known: Sequence[Migration], applied: Mapping[int, Applied]) -> Sequence[Migration]:
    """Return the migrations that a database has not had. Raises StoreOpenError when it had others than the known."""
    by_number = {migration.number: migration for migration in known}
    for number, one in sorted(applied.items()):
        if number not in by_number:
            raise StoreOpenError(
                f"the database has had the migration {one.name}, which this version of musterd does not know: "
                "start the version that made it, or a newer one"
            )
        if by_number[number].sha256 != one.sha256:
            raise StoreOpenError(
                f"the database has had the migration {one.name} with another text than this version of musterd has: "
                "start the version that made it, or restore a backup"
            )
    return [migration for migration in known if migration.number not in applied]
