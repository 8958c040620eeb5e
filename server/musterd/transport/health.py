"""grpc.health.v1: whether this server serves. grpcio's own servicer lacks List, and forgets watchers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Response = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Serves Health for the server, whose name is empty, and for its services, which all stand alike."""

    def __init__(self, services: Sequence[str]) -> None:
        self._names = ("", *services)
        self._status: int = Response.NOT_SERVING
        self._is_over = False
        self._changed = asyncio.Event()

    def serve(self) -> None:
        """Tell everyone that the server serves."""
        self._tell(Response.SERVING)

    def shut_down(self) -> None:
        """Tell everyone that the server serves no more, after which watching ends."""
        self._is_over = True
        self._tell(Response.NOT_SERVING)

    def _tell(self, status: int) -> None:
        self._status = status
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Response:
        """Return how a service stands."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "this server has no such service")
        return Response(status=self._status)

    async def List(self, request: object, context: Context) -> Message:
        """Return how all services stand."""
        make = cast("Any", health_pb2).HealthListResponse
        return make(statuses={name: Response(status=self._status) for name in self._names})

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> AsyncIterator[Response]:
        """Yield how a service stands, now and whenever that changes."""
        is_known = request.service in self._names
        while True:
            changed, is_over = self._changed, self._is_over
            yield Response(status=self._status if is_known else Response.SERVICE_UNKNOWN)
            if is_over:
                return
            await changed.wait()
