"""Health over gRPC: public, for the server and each of its services."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.tokens import AUTH

from musterd import Musterd
from musterd.app import Service
from musterd.testing.serving import serve_settings

SERVICES = tuple(
    f"musterd.v1.{name}Service" for name in ("Agent", "Hook", "Server", "Session", "Task", "Team", "Workflow")
)
Request = health_pb2.HealthCheckRequest
Response = health_pb2.HealthCheckResponse
ListResponse = cast("Any", health_pb2).HealthListResponse


class Watcher:
    """A watch stream as a client sees it."""

    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        watch = "/grpc.health.v1.Health/Watch"
        make = cast("Any", channel).unary_stream(watch, response_deserializer=Response.FromString)
        self.call = make(Request(service=service).SerializeToString())

    async def next(self) -> int:
        return (await self.call.read()).status

    async def is_over(self) -> bool:
        return await self.call.read() is grpc.aio.EOF


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[Service]:
    service = Service(Musterd(agents=[Agent(saying("hello"), name="greeter")]), serve_settings(tmp_path, auth=AUTH))
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def channel(service: Service) -> AsyncGenerator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"unix:{service.addresses()['unix']}") as channel:
        yield channel


async def call(channel: grpc.aio.Channel, name: str, service: str = "") -> bytes:
    make = cast("Any", channel).unary_unary(f"/grpc.health.v1.Health/{name}")
    return await make(Request(service=service).SerializeToString())


@pytest.mark.parametrize("name", ["", *SERVICES])
async def test_the_server_and_each_service_are_healthy(channel: grpc.aio.Channel, name: str) -> None:
    """I4."""
    assert Response.FromString(await call(channel, "Check", name)).status == Response.SERVING


async def test_the_list_names_them_all(channel: grpc.aio.Channel) -> None:
    """I4."""
    statuses = ListResponse.FromString(await call(channel, "List")).statuses
    assert {name: each.status for name, each in statuses.items()} == dict.fromkeys(("", *SERVICES), Response.SERVING)


async def test_an_unknown_service_is_not_found_and_can_be_watched(channel: grpc.aio.Channel) -> None:
    """I4."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel, "Check", "musterd.v1.CoffeeService")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watcher = Watcher(channel, "musterd.v1.CoffeeService")
    assert await watcher.next() == Response.SERVICE_UNKNOWN
    watcher.call.cancel()


async def test_all_who_watch_hear_that_the_server_goes_down(service: Service, channel: grpc.aio.Channel) -> None:
    """I4: also when another one who watched the same service has left."""
    left, stayed = Watcher(channel, SERVICES[0]), Watcher(channel, SERVICES[0])
    assert (await left.next(), await stayed.next()) == (Response.SERVING, Response.SERVING)
    left.call.cancel()
    await service.stop()
    assert await stayed.next() == Response.NOT_SERVING
    assert await stayed.is_over()
