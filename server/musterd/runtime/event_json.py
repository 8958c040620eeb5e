"""What authors tell in events, made such that every client can read it: it goes over the wire as a Struct."""

import math
from typing import Any, cast

from pydantic_core import to_jsonable_python

from musterd.domain.principal import JsonValue

MAX_DEPTH = 16
"""How deep objects and lists may be nested. Clients give up at about twice as much."""

MAX_EXACT_INTEGER = 2**53
"""A Struct has only doubles: what is larger is told as a text."""


def told(value: object) -> JsonValue:
    """Return any value as JSON that fits into an event. Never raises: what is no JSON is told by its type."""
    try:
        return fitting(to_jsonable_python(value, fallback=str))
    except Exception:  # noqa: BLE001 - whatever an author's object raises when it is to be a text
        return f"a {type(value).__name__}, which is no JSON"


def fitting(value: Any) -> JsonValue:
    """Return JSON with texts for what a Struct cannot hold. Raises ValueError for a number that Python cannot write."""
    return _fit(value, 1)


def clean(text: object) -> str:
    """Return a text, or that of an object, without what no store can hold."""
    return str(text).encode("utf-8", "replace").decode()


def _fit(value: Any, depth: int) -> JsonValue:
    match value:
        case str():
            return clean(value)
        case dict() | list() if depth > MAX_DEPTH:
            return "…"
        case dict():
            items = cast("dict[Any, Any]", value).items()
            return {clean(name): _fit(each, depth + 1) for name, each in items}
        case list():
            return [_fit(each, depth + 1) for each in cast("list[Any]", value)]
        case int() | float() if not _is_held(value):
            return str(value)
        case _:
            return value


def _is_held(number: float) -> bool:
    return abs(number) <= MAX_EXACT_INTEGER if isinstance(number, int) else math.isfinite(number)
