"""Ids: UUIDv7 in text form, so that they sort by time, and ids that follow from others."""

import hashlib
from uuid import UUID

from uuid_utils import uuid7

MAX_ID_CHARS = 128
"""How long the ids of sessions, users, requests and components may be."""

NUL = "\0"
"""The character that ids and names must not have, for not every store can hold it."""


def new_id() -> str:
    """Return a new UUIDv7 as 36 lower-case characters."""
    return str(uuid7())


def derived_id(*parts: str | int) -> str:
    """Return the id that belongs to these parts, always the same: a UUIDv8 of their SHA-256."""
    digest = bytearray(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in its canonical text form."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
