"""Large parts of a task's input: kept apart from the spec, once for all tasks of a tenant that have the same bytes."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from musterd.domain.task import TaskSpec
from musterd.store.encoding import JsonCodec

INLINE_PART_MAX_BYTES = 64 * 1024

BLOB_REFERENCES = JsonCodec(dict[int, str])
"""Which part of a spec has which blob: the part's index to the SHA-256 in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """The data of one large part."""

    part_index: int
    sha256: bytes
    data: bytes


def detach_blobs(spec: TaskSpec) -> tuple[TaskSpec, Sequence[Blob]]:
    """Return the spec without the data of its large parts, and that data."""
    blobs = [
        Blob(part_index=index, sha256=hashlib.sha256(part.data).digest(), data=part.data)
        for index, part in enumerate(spec.parts)
        if part.data is not None and len(part.data) > INLINE_PART_MAX_BYTES
    ]
    if not blobs:
        return spec, ()
    parts = list(spec.parts)
    for blob in blobs:
        parts[blob.part_index] = replace(parts[blob.part_index], data=None)
    return replace(spec, parts=tuple(parts)), blobs


def encode_references(blobs: Sequence[Blob]) -> bytes | None:
    """Return what the row of a spec says about its blobs; None when it has none."""
    return BLOB_REFERENCES.encode({blob.part_index: blob.sha256.hex() for blob in blobs}) if blobs else None


def decode_references(data: bytes | None) -> Mapping[int, bytes]:
    """Return the SHA-256 of the blob of each large part, by the part's index."""
    if data is None:
        return {}
    return {index: bytes.fromhex(sha256) for index, sha256 in BLOB_REFERENCES.decode(data).items()}


def attach_blobs(spec: TaskSpec, references: Mapping[int, bytes], read: Callable[[bytes], bytes]) -> TaskSpec:
    """Return the spec as it was given: `read` returns the data of a blob by its SHA-256."""
    if not references:
        return spec
    parts = list(spec.parts)
    for index, sha256 in references.items():
        parts[index] = replace(parts[index], data=read(sha256))
    return replace(spec, parts=tuple(parts))
