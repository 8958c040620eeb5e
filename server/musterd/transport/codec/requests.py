"""Decodes and checks what clients send. Each refusal names its field and says what to change."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from musterd.domain.board import MAX_MESSAGE_CHARS, MAX_TODO_CHARS, MAX_TODOS
from musterd.domain.errors import invalid_argument
from musterd.domain.ids import MAX_ID_CHARS, NUL
from musterd.domain.ports import RequestKey
from musterd.domain.principal import JsonValue
from musterd.domain.task import Part, Priority, UsageLimits
from musterd.transport.codec.tasks import PRIORITY_FROM_WIRE
from musterd_client.v1 import run_pb2

MAX_LABELS = 32
MAX_LABEL_KEY_CHARS = 64
MAX_LABEL_VALUE_CHARS = 1_024
MAX_PARTS = 64
MAX_REASON_CHARS = 1_024
MAX_STEER_CHARS = 65_536
MAX_PAGE_SIZE = 1_000
DEFAULT_PAGE_SIZE = 50
MAX_WAIT_TASKS = 100
MAX_WAIT_SECONDS = 3_600.0
MAX_INPUT_DEPTH = 32
"""Protobuf itself refuses messages that are nested deeper than this many objects, and names no field."""

MAX_SAFE_INTEGER = 2**53
MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}( *;[ -~]*)?", re.ASCII)


def bounded_text(path: str, text: str, most: int) -> str:
    """Return a text that is not too long."""
    if len(text) > most:
        raise invalid_argument(path, "max_length", f"has {len(text)} characters; at most {most} are allowed")
    return text


def optional_id(path: str, text: str) -> str:
    """Return an id or a name, which may be absent: not too long, and without NUL, which not every store can hold."""
    if NUL in text:
        raise invalid_argument(path, "nul", "has the character NUL, which ids and names must not have")
    return bounded_text(path, text, MAX_ID_CHARS)


def required_id(path: str, text: str) -> str:
    """Return an id or a name that is there."""
    if not text:
        raise invalid_argument(path, "required", "must not be empty")
    return optional_id(path, text)


def required_text(path: str, text: str, most: int) -> str:
    """Return a text that says something and is not too long."""
    if not text.strip():
        raise invalid_argument(path, "required", "must not be empty")
    return bounded_text(path, text, most)


def todo_content(text: str) -> str:
    """Return what a todo is about."""
    return required_text("content", text, MAX_TODO_CHARS)


def blocked_by(todo_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of the items that a todo waits for: at most as many as a list takes."""
    if len(todo_ids) > MAX_TODOS:
        raise invalid_argument("blocked_by", "max_items", f"has {len(todo_ids)} ids; at most {MAX_TODOS} are allowed")
    return tuple(required_id(f"blocked_by[{index}]", todo_id) for index, todo_id in enumerate(todo_ids))


def team_message(text: str) -> str:
    """Return what a message within a team says."""
    return required_text("content", text, MAX_MESSAGE_CHARS)


def page_size(size: int) -> int:
    """Return how many rows a page holds."""
    if not 0 <= size <= MAX_PAGE_SIZE:
        raise invalid_argument("page_size", "range", f"is {size}; it must be from 0 to {MAX_PAGE_SIZE}")
    return size or DEFAULT_PAGE_SIZE


def seconds(message: Message, path: str, default: float, most: float) -> float:
    """Return the length of time in a field, or the default when it is absent."""
    if not message.HasField(path):
        return default
    length = _length_seconds(message, path)
    if not 0 <= length <= most:
        raise invalid_argument(path, "range", f"is {length:g} s; it must be from 0 to {most:g} s")
    return length


def optional_seconds(message: Message, path: str) -> float | None:
    """Return the length of time in a field, whatever it is, or None when it is absent."""
    return _length_seconds(message, path) if message.HasField(path) else None


def _length_seconds(message: Message, path: str) -> float:
    value: Duration = getattr(message, path)
    return value.seconds + value.nanos / 1e9


def request_key(message: Message, *, tenant_id: str, user_id: str, method: str) -> RequestKey | None:
    """Return what makes a call repeatable, or None when it carries no request_id."""
    request_id = str(getattr(message, "request_id", ""))
    if not request_id:
        return None
    return RequestKey(
        tenant_id=tenant_id,
        user_id=user_id,
        method=method,
        request_id=optional_id("request_id", request_id),
        body_sha256=hashlib.sha256(message.SerializeToString(deterministic=True)).digest(),
    )


def priority(number: int) -> Priority:
    """Return a priority; NORMAL when none is given."""
    if number == 0:
        return Priority.NORMAL
    if number not in PRIORITY_FROM_WIRE:
        raise invalid_argument("priority", "enum", f"has no value {number}")
    return PRIORITY_FROM_WIRE[number]


def enum_number(path: str, number: int, known: Sequence[int]) -> int:
    """Return the number of an enum's value that this server knows."""
    if number not in known:
        raise invalid_argument(path, "enum", f"has no value {number}")
    return number


def usage_limits(message: run_pb2.UsageLimits) -> UsageLimits:
    """Return what a run may spend."""
    values: dict[str, int | None] = {}
    for name in ("requests", "tool_calls", "input_tokens", "output_tokens", "total_tokens"):
        value: int | None = getattr(message, name) if message.HasField(name) else None
        if value is not None and value <= 0:
            raise invalid_argument(f"usage_limits.{name}", "range", f"is {value}; it must be more than 0")
        values[name] = value
    return UsageLimits(**values)


def labels(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's own labels."""
    if len(metadata) > MAX_LABELS:
        raise invalid_argument("metadata", "max_items", f"has {len(metadata)} labels; at most {MAX_LABELS} are allowed")
    for key, value in metadata.items():
        bounded_text(f"metadata.{key[:MAX_LABEL_KEY_CHARS]}", key, MAX_LABEL_KEY_CHARS)
        bounded_text(f"metadata.{key}", value, MAX_LABEL_VALUE_CHARS)
    return dict(metadata)


def parts(messages: Sequence[run_pb2.Part]) -> tuple[Part, ...]:
    """Return the pieces of input beside the message."""
    if len(messages) > MAX_PARTS:
        raise invalid_argument("parts", "max_items", f"has {len(messages)} parts; at most {MAX_PARTS} are allowed")
    return tuple(_part(f"parts[{index}]", message) for index, message in enumerate(messages))


def _part(path: str, message: run_pb2.Part) -> Part:
    media_type = message.media_type
    if media_type and not MEDIA_TYPE.fullmatch(media_type):
        raise invalid_argument(f"{path}.media_type", "media_type", "must be a media type, like image/png")
    match message.WhichOneof("content"):
        case "text":
            return Part(name=message.name, media_type=media_type, text=message.text)
        case "data":
            if not media_type:
                raise invalid_argument(f"{path}.media_type", "required", "data needs its media type, like image/png")
            return Part(name=message.name, media_type=media_type, data=message.data)
        case "uri":
            if "://" not in message.uri:
                raise invalid_argument(f"{path}.uri", "uri", "must be an absolute address, like https://…")
            return Part(name=message.name, media_type=media_type, uri=message.uri)
        case _:
            raise invalid_argument(path, "required", "set one of text, data and uri")


def factory_input(struct: Struct) -> dict[str, JsonValue]:
    """Return a Struct as JSON. Whole numbers within ±2^53 become int, for a Struct knows only doubles."""
    return {key: _json_value(f"factory_input.{key}", value, 1) for key, value in struct.fields.items()}


def _json_value(path: str, value: Value, depth: int) -> JsonValue:
    if depth > MAX_INPUT_DEPTH:
        raise invalid_argument(path, "max_depth", f"is nested deeper than {MAX_INPUT_DEPTH} levels")
    match value.WhichOneof("kind"):
        case "number_value":
            return _number(path, value.number_value)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            fields = value.struct_value.fields.items()
            return {key: _json_value(f"{path}.{key}", each, depth + 1) for key, each in fields}
        case "list_value":
            return [_json_value(f"{path}.{i}", each, depth + 1) for i, each in enumerate(value.list_value.values)]
        case _:
            return None


def _number(path: str, number: float) -> int | float:
    if not math.isfinite(number):
        raise invalid_argument(path, "finite", "must be a finite number")
    return int(number) if number.is_integer() and abs(number) <= MAX_SAFE_INTEGER else number
