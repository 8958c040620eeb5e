"""Bytes that are no valid request: refused in words, and the server goes on."""

from collections.abc import AsyncGenerator

import grpc
import pytest
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.wire import METHODS, Wire, wire_to

from musterd import Musterd
from musterd.testing import serve
from musterd_client.codec import struct_to
from musterd_client.v1.agent_service_pb2 import RunAgentRequest

MAX_MESSAGE_BYTES = 65_536
GREETER = b"\x0a\x07greeter"


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    app = Musterd(agents=[Agent(saying("hello"), name="greeter")])
    settings = {"max_message_bytes": MAX_MESSAGE_BYTES}
    async with serve(app, server=settings) as client, wire_to(client.target) as wire:
        yield wire
        assert (await wire.call("RunAgent", agent_id="greeter", message="still there?")).task.task_id


def input_with_bad_text() -> bytes:
    """Return a request whose factory_input has a string that is no UTF-8."""
    request = RunAgentRequest(agent_id="greeter", message="hi", factory_input=struct_to({"name": "????"}))
    return request.SerializeToString().replace(b"????", b"\xff\xfe\xfd\xfc")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x0a\x02\xc3\x28", id="a string that is no UTF-8"),
        pytest.param(GREETER + b"\x12\x03\xed\xa0\x80", id="half of a surrogate pair"),
        pytest.param(input_with_bad_text(), id="input with a string that is no UTF-8"),
        pytest.param(GREETER + b"\x12\x7fhi", id="a string that is cut off"),
        pytest.param(b'{"agentId": "greeter"}', id="JSON"),
        pytest.param(b"\xff" * 64, id="noise"),
    ],
)
async def test_bytes_that_are_no_request_are_refused(wire: Wire, data: bytes) -> None:
    """R1 (refusal)."""
    refusal = await wire.send(METHODS["RunAgent"].path, data)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert "musterd.v1.RunAgentRequest" in refusal.text
    assert "UTF-8" in refusal.text
    assert not (await wire.call("ListTasks")).tasks


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"GetServerInfo"}))
async def test_no_rpc_takes_a_string_that_is_no_utf_8(wire: Wire, name: str) -> None:
    """R1: in every request but the empty one the last field that is text is refused when it is none."""
    fields = METHODS[name].request.DESCRIPTOR.fields
    texts = [each.number for each in fields if each.type == each.TYPE_STRING]
    refusal = await wire.send(METHODS[name].path, bytes((texts[-1] << 3 | 2, 1, 0xFF)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")


async def test_fields_that_this_version_does_not_know_are_no_harm(wire: Wire) -> None:
    """R1."""
    unknown = b"\xfa\x7f\x02hi"
    data = RunAgentRequest(agent_id="greeter", message="hi").SerializeToString() + unknown
    assert (await wire.send(METHODS["RunAgent"].path, data)).code is grpc.StatusCode.OK


async def test_a_message_as_large_as_the_limit_passes_and_a_byte_more_does_not(wire: Wire) -> None:
    """R1: what is larger never reaches our code, so that the status has no ErrorInfo."""
    frame = len(RunAgentRequest(agent_id="greeter", message="x" * 60_000).SerializeToString()) - 60_000
    largest = RunAgentRequest(agent_id="greeter", message="x" * (MAX_MESSAGE_BYTES - frame)).SerializeToString()
    assert len(largest) == MAX_MESSAGE_BYTES
    assert (await wire.send(METHODS["RunAgent"].path, largest)).code is grpc.StatusCode.OK
    larger = RunAgentRequest(agent_id="greeter", message="x" * (MAX_MESSAGE_BYTES - frame + 1)).SerializeToString()
    refusal = await wire.send(METHODS["RunAgent"].path, larger)
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"{MAX_MESSAGE_BYTES + 1} vs. {MAX_MESSAGE_BYTES}" in refusal.text


async def test_an_rpc_that_is_not_there_is_unimplemented(wire: Wire) -> None:
    """I4."""
    for path in ("/musterd.v1.AgentService/DropAgent", "/musterd.v1.CoffeeService/Brew", "/"):
        assert (await wire.send(path, b"")).code is grpc.StatusCode.UNIMPLEMENTED
