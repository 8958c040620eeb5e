"""Decodes and checks what somebody decides about approvals."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, cast

from musterd.domain.approval_store import Resolution, Verdict
from musterd.domain.errors import MusterdError, invalid_argument
from musterd.transport.codec import requests as decode
from musterd_client.v1 import task_service_pb2 as pb2

MAX_RESOLUTIONS = 100
MAX_RESOLUTION_REASON_CHARS = 4_096
MAX_RESOLUTION_DEPTH = 100
"""What is nested much deeper no run can write down again."""

VERDICT_FROM_WIRE: Mapping[int, Verdict] = {pb2.Verdict.Value(f"VERDICT_{each.name}"): each for each in Verdict}


def resolutions(messages: Sequence[pb2.Resolution]) -> tuple[Resolution, ...]:
    """Return the decisions of a call, each about another approval."""
    if not 1 <= len(messages) <= MAX_RESOLUTIONS:
        text = f"has {len(messages)} decisions; it must have 1 to {MAX_RESOLUTIONS}"
        raise invalid_argument("resolutions", "items", text)
    decided: set[str] = set()
    for index, message in enumerate(messages):
        if message.approval_id in decided:
            path = f"resolutions[{index}].approval_id"
            raise invalid_argument(path, "unique", "decides about the same approval as one before it")
        decided.add(message.approval_id)
    return tuple(_resolution(f"resolutions[{index}]", message) for index, message in enumerate(messages))


def _resolution(path: str, message: pb2.Resolution) -> Resolution:
    verdict = VERDICT_FROM_WIRE.get(message.verdict)
    if verdict is None:
        raise invalid_argument(
            f"{path}.verdict", "enum", f"has no value {message.verdict}; decide one way or the other"
        )
    if message.arguments_json and verdict is not Verdict.APPROVE:
        raise invalid_argument(f"{path}.arguments_json", "verdict", "goes with APPROVE alone")
    if bool(message.result_json) != (verdict is Verdict.RESULT):
        raise invalid_argument(f"{path}.result_json", "verdict", "goes with RESULT, and with nothing else")
    if message.arguments_json and not isinstance(_json(f"{path}.arguments_json", message.arguments_json), dict):
        raise invalid_argument(f"{path}.arguments_json", "json", "must be a JSON object")
    if message.result_json:
        _json(f"{path}.result_json", message.result_json)
    return Resolution(
        approval_id=decode.optional_id(f"{path}.approval_id", message.approval_id),
        verdict=verdict,
        reason=decode.bounded_text(f"{path}.reason", message.reason, MAX_RESOLUTION_REASON_CHARS),
        arguments_json=message.arguments_json,
        result_json=message.result_json,
    )


def _json(path: str, text: str) -> object:
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
    except RecursionError:
        raise _too_deep(path) from None
    except ValueError:
        raise invalid_argument(path, "json", "must be JSON, without NaN and infinity") from None
    level = [value]
    for _ in range(MAX_RESOLUTION_DEPTH):
        level = [inner for each in level for inner in _inside(each)]
    if level:
        raise _too_deep(path)
    return value


def _inside(value: object) -> Iterable[object]:
    match value:
        case dict():
            return cast("dict[str, object]", value).values()
        case list():
            return cast("list[object]", value)
        case _:
            return ()


def _too_deep(path: str) -> MusterdError:
    return invalid_argument(path, "max_depth", f"is nested deeper than {MAX_RESOLUTION_DEPTH} levels")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite_float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} has no JSON form again")
    return value
