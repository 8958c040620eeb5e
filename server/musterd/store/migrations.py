"""Numbered migrations: plain SQL files whose checksums are kept in the database that they were applied to."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from musterd.store.errors import StoreOpenError

_FILE_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")
_FIRST_LINE = re.compile(r"-- (?:expands|contracts: needs (?P<needs>\d{4}))")

EVERY_VERSION = 0
"""What a migration needs that takes nothing away."""


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

    @property
    def needs(self) -> int:
        """The newest migration that a version has to know to work on the schema with this one.

        Its first line says so: `-- expands` takes nothing away, `-- contracts: needs 0002` takes what versions need
        that do not know 0002. Raises ValueError for a file that says neither.
        """
        match = _FIRST_LINE.fullmatch(self.sql.partition("\n")[0].rstrip())
        if match is None or int(match["needs"] or EVERY_VERSION) > self.number:
            raise ValueError(f"the first line of {self.name}.sql must be `-- expands` or `-- contracts: needs NUMBER`")
        return int(match["needs"] or EVERY_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a database says about a migration that it has had. `needs` is for versions that do not know it."""

    name: str
    sha256: str
    needs: int


def load_migrations(package: str) -> Sequence[Migration]:
    """Return the migrations in a package's folder `migrations`, in order."""
    found = [
        Migration(number=int(match["number"]), name=entry.name.removesuffix(".sql"), sql=entry.read_text("utf-8"))
        for entry in (files(package) / "migrations").iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


def find_pending(known: Sequence[Migration], applied: Mapping[int, Applied]) -> Sequence[Migration]:
    """Return the migrations that a database has not had.

    Raises StoreOpenError when it had a known one with another text, or an unknown one that this version cannot live
    with: a later one may be there that takes nothing away which this version needs.
    """
    by_number = {migration.number: migration for migration in known}
    newest = max(by_number, default=0)
    for number, one in sorted(applied.items()):
        if number not in by_number:
            if number > newest >= one.needs:
                continue
            raise StoreOpenError(
                f"the database has had the migration {one.name}, and this version of musterd does not know it and "
                "cannot work on what it left: upgrade the server to the version that made it, or a newer one"
            )
        if by_number[number].sha256 != one.sha256:
            raise StoreOpenError(
                f"the database has had the migration {one.name} with another text than this version of musterd has: "
                "start the version that made it, or restore a backup"
            )
    return [migration for migration in known if migration.number not in applied]
