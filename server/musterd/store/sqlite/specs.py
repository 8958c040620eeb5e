"""What a task was asked to do, and the large parts of it."""

import sqlite3
from dataclasses import replace
from datetime import datetime

from musterd.domain.principal import Identity
from musterd.domain.task import TaskSpec
from musterd.store.blobs import attach_blobs, decode_references, detach_blobs, encode_references
from musterd.store.encoding import SPEC, SPEC_FORMAT, check_format
from musterd.store.errors import UnreadableRowError

_INSERT = "INSERT INTO task_spec (task, format, spec, blobs) VALUES (?, ?, ?, ?)"
_READ = "SELECT format, spec, blobs FROM task_spec WHERE task = ?"
_REPLACE = "UPDATE task_spec SET format = ?, spec = ? WHERE task = ?"
_INSERT_BLOB = """
INSERT INTO blob (tenant_id, sha256, uses, data) VALUES (?, ?, 1, ?)
ON CONFLICT (tenant_id, sha256) DO UPDATE SET uses = uses + 1
"""
_READ_BLOB = "SELECT data FROM blob WHERE tenant_id = ? AND sha256 = ?"


def save_spec(connection: sqlite3.Connection, task_number: int, spec: TaskSpec) -> None:
    """Store the spec of a new task."""
    small, blobs = detach_blobs(spec)
    for blob in blobs:
        connection.execute(_INSERT_BLOB, (spec.identity.tenant_id, blob.sha256, blob.data))
    connection.execute(_INSERT, (task_number, SPEC_FORMAT, SPEC.encode(small), encode_references(blobs)))


def load_spec(connection: sqlite3.Connection, task_number: int) -> TaskSpec:
    """Return the spec of a task as it was given. Raises UnreadableRowError."""
    spec, references = _read(connection, task_number)
    return attach_blobs(
        spec, decode_references(references), lambda sha256: _read_blob(connection, spec.identity.tenant_id, sha256)
    )


def replace_identity(
    connection: sqlite3.Connection, task_number: int, identity: Identity, *, before: datetime | None = None
) -> bool:
    """Let a task run under another identity, if its own is older than `before`. Returns whether it does."""
    spec, _ = _read(connection, task_number)
    if before is not None and spec.identity.captured_at > before:
        return False
    connection.execute(_REPLACE, (SPEC_FORMAT, SPEC.encode(replace(spec, identity=identity)), task_number))
    return True


def _read(connection: sqlite3.Connection, task_number: int) -> tuple[TaskSpec, bytes | None]:
    row_format, spec, references = connection.execute(_READ, (task_number,)).fetchone()
    check_format("task's spec", row_format, SPEC_FORMAT)
    return SPEC.decode(spec), references


def _read_blob(connection: sqlite3.Connection, tenant_id: str, sha256: bytes) -> bytes:
    row = connection.execute(_READ_BLOB, (tenant_id, sha256)).fetchone()
    if row is None:
        raise UnreadableRowError(f"the blob {sha256.hex()} of a task's input is gone")
    return row[0]
