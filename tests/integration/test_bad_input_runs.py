"""What RunAgent refuses: each with a clear reason and the path of the field, and the server goes on."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from pydantic import BaseModel
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.wire import Wire, wire_to

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing import serve
from musterd_client.codec import struct_to
from musterd_client.v1.run_pb2 import Part, UsageLimits

INVALID = grpc.StatusCode.INVALID_ARGUMENT
LABELS_OVER = {f"label-{number}": "x" for number in range(33)}


class Line(BaseModel):
    """One line of an order."""

    sku: str
    pieces: int


class Order(BaseModel):
    """What the shop's factory takes."""

    lines: list[Line]
    rush: bool = False


def build(context: RequestContext) -> Agent[RequestContext, str]:
    return Agent(saying("built"), deps_type=RequestContext)


def app() -> Musterd:
    return Musterd(
        agents=[
            Agent(saying("hello"), name="greeter"),
            AgentFactory("shop", build, input_schema=Order),
            AgentFactory("any", build),
        ]
    )


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    async with serve(app()) as client, wire_to(client.target) as wire:
        yield wire


def duration(seconds: int = 0, nanos: int = 0) -> Duration:
    return Duration(seconds=seconds, nanos=nanos)


def nested(depth: int) -> Struct:
    """Return an object that is `depth` values deep."""
    value: Any = 1
    for _ in range(depth - 1):
        value = {"in": value}
    return struct_to({"deep": value})


def nested_lists(depth: int) -> Struct:
    value = Value(number_value=1)
    for _ in range(depth - 1):
        value = Value(list_value=ListValue(values=[value]))
    return Struct(fields={"deep": value})


BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no agent id": ({"agent_id": ""}, "agent_id"),
    "an agent id that is too long": ({"agent_id": "a" * 129}, "agent_id"),
    "neither message nor parts": ({"message": ""}, "message"),
    "a part without content": ({"parts": [Part(text="x"), Part(name="empty.txt")]}, "parts[1]"),
    "data without a media type": ({"parts": [Part(data=b"x")]}, "parts[0].media_type"),
    "data with half a media type": ({"parts": [Part(data=b"x", media_type="png")]}, "parts[0].media_type"),
    "data with an empty media type": ({"parts": [Part(data=b"x", media_type="/")]}, "parts[0].media_type"),
    "a media type of two lines": (
        {"parts": [Part(text="x"), Part(uri="https://example.com/x", media_type="image/png\r\nx: y")]},
        "parts[1].media_type",
    ),
    "an address that is none": ({"parts": [Part(uri="file.png")]}, "parts[0].uri"),
    "too many parts": ({"parts": [Part(text="x")] * 65}, "parts"),
    "a session id that is too long": ({"session_id": "s" * 129}, "session_id"),
    "a user id that is too long": ({"user_id": "u" * 129}, "user_id"),
    "a request id that is too long": ({"request_id": "r" * 129}, "request_id"),
    "a negative run timeout": ({"run_timeout": duration(-1)}, "run_timeout"),
    "a run timeout a little below zero": ({"run_timeout": duration(0, -1)}, "run_timeout"),
    "a run timeout of zero": ({"run_timeout": duration(0)}, "run_timeout"),
    "a run timeout over the server's": ({"run_timeout": duration(86_400, 1_000)}, "run_timeout"),
    "no requests at all": ({"usage_limits": UsageLimits(requests=0)}, "usage_limits.requests"),
    "more requests than the server's": ({"usage_limits": UsageLimits(requests=1_001)}, "usage_limits.requests"),
    "no tool calls": ({"usage_limits": UsageLimits(tool_calls=0)}, "usage_limits.tool_calls"),
    "negative input tokens": ({"usage_limits": UsageLimits(input_tokens=-1)}, "usage_limits.input_tokens"),
    "no output tokens": ({"usage_limits": UsageLimits(output_tokens=0)}, "usage_limits.output_tokens"),
    "no tokens": ({"usage_limits": UsageLimits(total_tokens=0)}, "usage_limits.total_tokens"),
    "an unknown priority": ({"priority": 99}, "priority"),
    "a negative priority": ({"priority": -1}, "priority"),
    "an unknown way to disconnect": ({"on_disconnect": 99}, "on_disconnect"),
    "too many labels": ({"metadata": LABELS_OVER}, "metadata"),
    "a label's key that is too long": ({"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 64}"),
    "a label's value that is too long": ({"metadata": {"ticket": "v" * 1_025}}, "metadata.ticket"),
    "NaN in the input": ({"factory_input": struct_to({"a": [{"b": float("nan")}]})}, "factory_input.a.0.b"),
    "infinity in the input": ({"factory_input": struct_to({"a": float("inf")})}, "factory_input.a"),
    "input that is nested too deep": ({"factory_input": nested(33)}, "factory_input" + ".deep" + ".in" * 32),
    "lists that are nested too deep": ({"factory_input": nested_lists(33)}, "factory_input.deep" + ".0" * 32),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
async def test_a_bad_field_is_refused_by_its_path(wire: Wire, case: str) -> None:
    """R1, C6, R10 (refusal)."""
    fields, path = BAD_FIELDS[case]
    refusal = await wire.refusal("RunAgent", **{"agent_id": "greeter", "message": "hi", **fields})
    assert (refusal.code, refusal.reason, refusal.paths) == (INVALID, "INVALID_ARGUMENT", [path])
    assert refusal.text.startswith(f"{path}: ")
    assert len(refusal.text) > len(path) + 10


async def test_after_the_whole_table_the_server_serves_as_before(wire: Wire) -> None:
    """R1: and nothing of it became a task."""
    for fields, _ in BAD_FIELDS.values():
        await wire.refusal("RunAgent", **{"agent_id": "greeter", "message": "hi", **fields})
    assert not (await wire.call("ListTasks")).tasks
    assert (await wire.call("RunAgent", agent_id="greeter", message="hi")).task.task_id


@pytest.mark.parametrize(
    "part",
    [
        Part(text="a text", name="note.txt"),
        Part(text="a table", media_type="text/csv; charset=utf-8"),
        Part(data=b"\x00", media_type="image/svg+xml"),
        Part(data=b"\x00", media_type="application/vnd.oasis.opendocument.text"),
        Part(uri="https://example.com/cat.png"),
        Part(uri="gs://bucket/cat", media_type="image/png"),
    ],
    ids=lambda part: part.media_type or part.uri or part.name,
)
async def test_parts_of_each_kind_are_taken_without_a_message(wire: Wire, part: Part) -> None:
    """R1."""
    assert (await wire.call("RunAgent", agent_id="greeter", parts=[part])).task.task_id


async def test_an_unknown_agent_is_not_found(wire: Wire) -> None:
    """C1."""
    refusal = await wire.refusal("RunAgent", agent_id="grocer", message="hi")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "COMPONENT_NOT_FOUND")
    assert dict(refusal.info.metadata) == {"component_id": "grocer"}
    assert refusal.kinds == ["ErrorInfo", "ResourceInfo"]


async def test_input_that_breaks_the_schema_is_refused_with_every_path(wire: Wire) -> None:
    """C6 (refusal)."""
    broken = {"lines": [{"sku": "a", "pieces": 1}, {"sku": 7, "pieces": "many"}, {}], "rush": "perhaps"}
    refusal = await wire.refusal("RunAgent", agent_id="shop", message="hi", factory_input=struct_to(broken))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_INPUT")
    assert refusal.paths == [
        "factory_input.lines.1.sku",
        "factory_input.lines.1.pieces",
        "factory_input.lines.2.sku",
        "factory_input.lines.2.pieces",
        "factory_input.rush",
    ]
    violations = refusal.details[1].field_violations
    assert [each.reason for each in violations] == ["string_type", "int_parsing", "missing", "missing", "bool_parsing"]
    assert violations[2].description == "Field required"
    assert "'shop'" in refusal.text


async def test_input_that_is_missing_counts_as_an_empty_object(wire: Wire) -> None:
    """C6."""
    refusal = await wire.refusal("RunAgent", agent_id="shop", message="hi")
    assert (refusal.reason, refusal.paths) == ("INVALID_INPUT", ["factory_input.lines"])


async def test_a_refusal_fits_into_the_trailers_however_much_is_wrong(wire: Wire) -> None:
    """C6: clients drop a status whose trailers are larger than 8 KiB."""
    broken = {"lines": [{"sku": "a", "pieces": "many"}] * 2_000}
    refusal = await wire.refusal("RunAgent", agent_id="shop", message="hi", factory_input=struct_to(broken))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_INPUT")
    assert refusal.paths[0] == "factory_input.lines.0.pieces"
    assert int(refusal.info.metadata["omitted_violations"]) == 2_000 - len(refusal.paths)
    assert len(refusal.paths) > 10


async def test_a_refusal_fits_into_the_trailers_however_long_a_key_is(wire: Wire) -> None:
    """C6."""
    broken = {"ключ" * 100_000: float("nan")}
    refusal = await wire.refusal("RunAgent", agent_id="any", message="hi", factory_input=struct_to(broken))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_ARGUMENT")
    assert refusal.paths[0].startswith("factory_input.ключ")
    assert refusal.text.endswith("…")
