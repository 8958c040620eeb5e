"""What tasks were asked to do, and the large parts of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from musterd.domain.principal import Identity
from musterd.domain.task import TaskSpec
from musterd.store.blobs import attach_blobs, decode_references, detach_blobs, encode_references
from musterd.store.encoding import SPEC, SPEC_FORMAT, check_format
from musterd.store.errors import UnreadableRowError
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.statements import load_statement

_INSERT = load_statement("insert_spec")
_READ = load_statement("read_specs")
_REPLACE = load_statement("replace_spec")
_INSERT_BLOB = load_statement("insert_blob")
_READ_BLOBS = load_statement("read_blobs")


async def save_spec(connection: Connection, task_number: int, spec: TaskSpec) -> None:
    """Store the spec of a new task."""
    small, blobs = detach_blobs(spec)
    tenant_id = spec.identity.tenant_id
    # In one order, so that no two transactions wait for each other.
    for blob in sorted(blobs, key=lambda blob: blob.sha256):
        await connection.execute(_INSERT_BLOB, tenant_id, blob.sha256, blob.data)
    await connection.execute(_INSERT, task_number, tenant_id, SPEC_FORMAT, SPEC.encode(small), encode_references(blobs))


async def load_specs(
    connection: Connection, task_numbers: Sequence[int]
) -> Mapping[int, TaskSpec | UnreadableRowError | ValueError]:
    """Return the specs of tasks as they were given, by the task's number, or why one cannot be read."""
    found: dict[int, TaskSpec | UnreadableRowError | ValueError] = {}
    for row in await connection.fetch(_READ, list(task_numbers)):
        try:
            found[row["task"]] = await _load(connection, row)
        except (UnreadableRowError, ValueError) as error:
            found[row["task"]] = error
    return found


async def _load(connection: Connection, row: Row) -> TaskSpec:
    spec, references = _decode(row), decode_references(row["blobs"])
    if not references:
        return spec
    rows = await connection.fetch(_READ_BLOBS, row["tenant_id"], list(references.values()))
    data = {blob["sha256"]: blob["data"] for blob in rows}

    def read(sha256: bytes) -> bytes:
        if sha256 not in data:
            raise UnreadableRowError(f"the blob {sha256.hex()} of a task's input is gone")
        return data[sha256]

    return attach_blobs(spec, references, read)


def _decode(row: Row) -> TaskSpec:
    check_format("task's spec", row["format"], SPEC_FORMAT)
    return SPEC.decode(row["spec"])


async def replace_identity(
    connection: Connection, task_number: int, identity: Identity, *, before: datetime | None = None
) -> bool:
    """Let a task run under another identity, if its own is older than `before`. Returns whether it does."""
    (row,) = await connection.fetch(_READ, [task_number])
    former = _decode(row)
    if before is not None and former.identity.captured_at > before:
        return False
    spec = replace(former, identity=identity)
    await connection.execute(_REPLACE, task_number, row["tenant_id"], SPEC_FORMAT, SPEC.encode(spec))
    return True
