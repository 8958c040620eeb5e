"""Values as bytes, and back."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musterd.domain.event import HookFailed, Payload
from musterd.domain.orders import CancelOrder
from musterd.domain.principal import Identity
from musterd.domain.task import (
    ComponentKind,
    ComponentRef,
    Output,
    Part,
    TaskError,
    TaskSpec,
    Usage,
    UsageLimits,
)
from musterd.store.blobs import INLINE_PART_MAX_BYTES, attach_blobs, decode_references, detach_blobs, encode_references
from musterd.store.encoding import (
    CANCEL_ORDER,
    ERROR,
    EVENT_FORMAT,
    KINDS,
    OUTPUT,
    PAYLOAD_ENCODERS,
    SPEC,
    USAGE,
    JsonCodec,
    decode_payload,
    from_micros,
    to_micros,
)
from musterd.store.errors import UnreadableRowError

NUMBERS = st.floats(allow_nan=False)
TIMES = st.datetimes(timezones=st.just(UTC))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
JSON_OBJECTS = st.dictionaries(st.text(), JSON_VALUES, max_size=3)

SPECIAL_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "expired_at": TIMES,
    "captured_at": TIMES,
    "grace_seconds": NUMBERS,
    "delay_seconds": NUMBERS,
    "run_timeout_seconds": NUMBERS,
    "payload": JSON_OBJECTS,
    "claims": JSON_OBJECTS,
    "component": st.builds(ComponentRef, kind=st.sampled_from(ComponentKind), id=st.text()),
    "usage_limits": st.builds(UsageLimits, requests=st.none() | st.integers(), total_tokens=st.none() | st.integers()),
    "parts": st.lists(
        st.builds(Part, name=st.text(), media_type=st.text(), text=st.none() | st.text(), data=st.none() | st.binary()),
        max_size=3,
    ).map(tuple),
}


def build(value_type: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for a dataclass with every one of its fields set."""
    names = [field.name for field in dataclasses.fields(value_type)]
    special = {**SPECIAL_FIELDS, **fields}
    return st.builds(value_type, **{name: special.get(name, ...) for name in names})


SPECS = build(TaskSpec, identity=build(Identity))
PAYLOADS = st.one_of(
    build(HookFailed, details=JSON_OBJECTS),
    *[build(payload_type) for payload_type in KINDS if payload_type is not HookFailed],
)


@given(payload=PAYLOADS)
def test_every_payload_comes_back(payload: Payload) -> None:
    """R3."""
    kind, encode = PAYLOAD_ENCODERS[type(payload)]
    data = encode(payload)
    assert decode_payload(kind, EVENT_FORMAT, data) == payload
    assert b"\n" not in data


@pytest.mark.parametrize(
    ("codec", "values"),
    [
        (SPEC, SPECS),
        (USAGE, build(Usage)),
        (OUTPUT, build(Output)),
        (ERROR, build(TaskError)),
        (CANCEL_ORDER, build(CancelOrder)),
    ],
    ids=["spec", "usage", "output", "error", "cancel order"],
)
@given(data=st.data())
def test_every_column_comes_back(codec: JsonCodec[Any], values: st.SearchStrategy[Any], data: st.DataObject) -> None:
    """C9."""
    value = data.draw(values)
    assert codec.decode(codec.encode(value)) == value


def test_every_payload_has_a_kind_of_its_own() -> None:
    """R3."""
    assert set(KINDS) == set(get_args(Payload))
    assert len(set(KINDS.values())) == len(KINDS)


@pytest.mark.parametrize(("kind", "row_format"), [("dance", EVENT_FORMAT), ("task_started", EVENT_FORMAT + 1)])
def test_an_unknown_kind_or_format_is_refused(kind: str, row_format: int) -> None:
    """R3."""
    with pytest.raises(UnreadableRowError, match="this version"):
        decode_payload(kind, row_format, b"{}")


def test_equal_payloads_have_short_equal_bytes() -> None:
    """R3."""
    assert USAGE.encode(Usage(requests=1)) == (
        b'{"requests":1,"tool_calls":0,"input_tokens":0,"output_tokens":0,"cache_read_tokens":0,"cache_write_tokens":0,'
        b'"details":{}}'
    )


@given(time=TIMES)
def test_every_time_comes_back_to_the_microsecond(time: datetime) -> None:
    """R3."""
    assert from_micros(to_micros(time)) == time
    assert to_micros(time + timedelta(microseconds=1)) == to_micros(time) + 1


@given(spec=SPECS, large_at=st.lists(st.integers(min_value=0, max_value=2), max_size=3))
def test_large_parts_are_detached_and_attached(spec: TaskSpec, large_at: list[int]) -> None:
    """C9."""
    large = Part(data=b"\xff" * (INLINE_PART_MAX_BYTES + 1))
    parts = [large if index in large_at else part for index, part in enumerate(spec.parts)]
    spec = dataclasses.replace(spec, parts=tuple(parts))
    small, blobs = detach_blobs(spec)
    assert len(SPEC.encode(small)) < INLINE_PART_MAX_BYTES
    kept = {blob.sha256: blob.data for blob in blobs}
    assert attach_blobs(small, decode_references(encode_references(blobs)), kept.__getitem__) == spec


def test_a_part_of_the_largest_inline_size_stays_in_the_spec() -> None:
    """C9."""
    part = Part(data=b"\xff" * INLINE_PART_MAX_BYTES)
    spec = TaskSpec(
        component=ComponentRef(kind=ComponentKind.AGENT, id="greeter"),
        message="",
        parts=(part,),
        identity=Identity(tenant_id="acme", user_id="anna", captured_at=datetime(2026, 1, 1, tzinfo=UTC)),
        run_timeout_seconds=1.0,
        usage_limits=UsageLimits(),
    )
    assert detach_blobs(spec) == (spec, ())
    assert encode_references(()) is None
    assert decode_references(None) == {}
