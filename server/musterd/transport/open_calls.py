"""The calls under way: when the server goes down, each is answered in words, and none is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import grpc

from musterd.domain.errors import MusterdError
from musterd.runtime.supervisor import shutting_down
from musterd.transport.errors import status_of

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class OpenCalls:
    """Knows what calls wait for something, and lets them wait no longer when they are sent off.

    Once closed, what comes in is held back: a caller that is refused before its connection is told to go away comes
    again at once, over the same connection, and gRPC drops without a word what it has read when it stops.
    """

    def __init__(self) -> None:
        self.arrived_count = 0
        self._waiting: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self._is_sent_off = False
        self._dismissal = asyncio.Event()

    async def arrive(self) -> None:
        """Count a call that comes in. Raises MusterdError SHUTTING_DOWN, once held calls are dismissed, when closed."""
        self.arrived_count += 1
        if self._is_closed:
            await self._dismissal.wait()
            raise shutting_down()

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Let the call wait for what it needs. Raises MusterdError SHUTTING_DOWN inside when it is sent off."""
        if self._is_sent_off:
            raise shutting_down()
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task in self._waiting:
                raise
            task.uncancel()
            raise shutting_down() from None
        finally:
            self._waiting.discard(task)

    async def see_off(self, grace_seconds: float) -> None:
        """Hold back what comes in, and return when those that wait are answered; after the grace they are sent off."""
        self._is_closed = True
        if self._waiting:
            await asyncio.wait(set(self._waiting), timeout=grace_seconds)
        self._is_sent_off = True
        left = set(self._waiting)
        self._waiting.clear()
        for task in left:
            task.cancel()

    async def calm(self, calm_seconds: float, most_seconds: float) -> None:
        """Return when no call has come for a while, or the time is up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + most_seconds
        arrived_before = -1
        while arrived_before != self.arrived_count and loop.time() < end:
            arrived_before = self.arrived_count
            await asyncio.sleep(calm_seconds)

    async def dismiss(self) -> None:
        """Refuse the calls that were held back."""
        self._dismissal.set()


class ArrivalInterceptor(grpc.aio.ServerInterceptor):
    """The first of all interceptors: lets calls in, and answers those that come while the server goes down."""

    def __init__(self, calls: OpenCalls) -> None:
        self._calls = calls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Let a call pass to the other interceptors, or answer it with SHUTTING_DOWN."""
        try:
            await self._calls.arrive()
            with self._calls.waiting():
                return await continuation(handler_call_details)
        except MusterdError as error:
            return _refusal(error)


def _refusal(error: MusterdError) -> Handler:
    async def refuse(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort_with_status(status_of(error))

    # On the wire a single message is a stream of one: this serves for all RPCs.
    return grpc.stream_stream_rpc_method_handler(cast("Any", refuse))
