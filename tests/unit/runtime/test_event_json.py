"""What authors tell in events is such that every client can read it."""

import math
from functools import reduce
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from musterd.runtime.event_json import MAX_DEPTH, MAX_EXACT_INTEGER, told


@pytest.mark.parametrize("value", [None, True, 1, -1.5, 1e300, "🐝", [1, ["a"]], {"a": {"b": []}}])
def test_json_is_told_as_it_is(value: object) -> None:
    """H3, R3."""
    assert told(value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MAX_EXACT_INTEGER + 1, "9007199254740993"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        ("a\ud800b", "a?b"),
        pytest.param(10**5_000, "a int, which is no JSON", id="too long to be written"),
    ],
)
def test_what_a_struct_cannot_hold_is_told_as_a_text(value: object, text: str) -> None:
    """H3, R3 (refusal)."""
    assert told(value) == text


def test_the_largest_integers_are_exact() -> None:
    """H3, R3: at the edge."""
    assert told([MAX_EXACT_INTEGER, -MAX_EXACT_INTEGER]) == [MAX_EXACT_INTEGER, -MAX_EXACT_INTEGER]


def nested(levels: int) -> Any:
    return reduce(lambda inner, _: {"in": inner}, range(levels), "end")


def test_what_is_nested_too_deep_is_cut_off() -> None:
    """H3, R3 (refusal): at the edge."""
    assert told(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    cut: Any = told(nested(MAX_DEPTH + 1))
    for _ in range(MAX_DEPTH):
        cut = cut["in"]
    assert cut == "…"


def test_what_is_nested_as_deep_as_may_be_is_read_by_clients() -> None:
    """H3, R3."""
    struct = Struct()
    struct.update({"data": told(nested(100))})
    assert Struct.FromString(struct.SerializeToString()) == struct
