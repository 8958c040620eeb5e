"""Ids: UUIDv7 in text form, so that they sort by time."""

from uuid import UUID

from uuid_utils import uuid7


def new_id() -> str:
    """Return a new UUIDv7 as 36 lower-case characters."""
    return str(uuid7())


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in its canonical text form."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
