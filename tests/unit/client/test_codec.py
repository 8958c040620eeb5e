import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musterd_client import DataPart, JsonValue, UriPart
from musterd_client.codec import duration_from, duration_to, part_to, reason_from, struct_from, struct_to

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_json_object_survives_the_contract(fields: dict[str, JsonValue]) -> None:
    assert struct_from(struct_to(fields)) == fields


@pytest.mark.parametrize(("sent", "kind"), [(3, int), (3.0, int), (2.0**53, int), (2.0**54, float), (0.5, float)])
def test_integral_numbers_come_back_as_int_while_they_are_exact(sent: float, kind: type) -> None:
    received = struct_from(struct_to({"n": sent}))["n"]
    assert (received, type(received)) == (sent, kind)


def test_numbers_that_are_no_numbers_pass() -> None:
    received = struct_from(struct_to({"n": math.inf}))["n"]
    assert received == math.inf


@given(st.floats(0, 3600 * 24))
def test_a_duration_keeps_its_nanoseconds(seconds: float) -> None:
    duration = duration_to(seconds)
    assert duration is not None
    assert duration_from(duration) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize("seconds", [math.inf, -math.inf, math.nan, 1e30])
def test_a_time_that_is_no_number_of_seconds_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"no length of time|out of range"):
        duration_to(seconds)


@pytest.mark.parametrize("fields", [["a"], "a", 1, b"a"], ids=repr)
def test_what_is_no_json_object_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"not a JSON (object|value)$"):
        struct_to(fields)


def test_parts_carry_their_content() -> None:
    data = part_to(DataPart(data=b"\x89PNG", media_type="image/png", name="a.png"))
    uri = part_to(UriPart(uri="https://example.com/a.png"))
    assert (data.data, data.media_type, data.name) == (b"\x89PNG", "image/png", "a.png")
    assert (uri.WhichOneof("content"), uri.uri) == ("uri", "https://example.com/a.png")


def test_what_is_no_part_is_refused() -> None:
    words: Any = "a note"
    with pytest.raises(TypeError, match=r"not str$"):
        part_to(words)


def test_a_reason_of_a_newer_server_keeps_its_number() -> None:
    assert (reason_from(4), reason_from(4711)) == ("TASK_NOT_FOUND", "UNKNOWN_4711")
