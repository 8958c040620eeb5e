"""Makes calls: with the caller's token and metadata, within a time limit, and with failures as this client's errors."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

import grpc

from musterd_client.errors import MUSTERD_DOMAIN, CallError, call_error_from
from musterd_client.methods import Method, RequestT, ResponseT
from musterd_client.retry import RetryPolicy
from musterd_client.tokens import TokenSource, is_header_value

Metadata = tuple[tuple[str, str], ...]

_METADATA_NAME = re.compile(r"[a-z0-9._-]+")

# A server that ends drops with CANCELLED what it has read and not looked at. No server answers so, and who cancels a
# call here hears asyncio's CancelledError.
_NOT_SERVED_CODES = frozenset((grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED))


@dataclass(frozen=True, slots=True)
class OpenStream(Generic[ResponseT]):
    """A server stream that was asked for, and the token that it was asked for with."""

    call: "grpc.aio.UnaryStreamCall[Any, ResponseT]"
    token: str | None


def says_token_expired(error: CallError) -> bool:
    """Whether a fresh token would have made the call work."""
    return error.domain == MUSTERD_DOMAIN and error.reason == "TOKEN_EXPIRED"


def says_not_served(error: CallError) -> bool:
    """Whether no server took the call, or it broke off as it went down: made again, it may work."""
    return error.code in _NOT_SERVED_CODES


def tries_after(error: CallError, tries: int) -> int:
    """Returns how many tries there are in all: whoever tries only once may do it again with a fresh token."""
    return max(tries, 2) if says_token_expired(error) else tries


def is_canceled() -> bool:
    """Whether somebody canceled the current task. Who is not has a CancelledError from gRPC: its call was dropped."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def closed_meanwhile() -> RuntimeError:
    """Returns the error for a call that was under way when the client was closed."""
    return RuntimeError("the client was closed during a call: let the tasks that use it end before its `async with`")


class Calls:
    """All calls of one client, over the channel that it has while it is open.

    Raises:
        ValueError: metadata that a header cannot carry.
    """

    def __init__(
        self,
        connect: Callable[[], grpc.aio.Channel],
        *,
        tokens: TokenSource,
        metadata: Mapping[str, str],
        retry: RetryPolicy,
        call_timeout_seconds: float,
        stall_timeout_seconds: float,
    ) -> None:
        self._connect = connect
        self._channel: grpc.aio.Channel | None = None
        self._callables: dict[str, Any] = {}
        self._metadata: Metadata = tuple((name.lower(), value) for name, value in metadata.items())
        for name, value in self._metadata:
            if not _METADATA_NAME.fullmatch(name):
                raise ValueError(f"metadata {name!r}: a name has letters, digits and .-_ only")
            if not name.endswith("-bin") and not is_header_value(value):
                raise ValueError(f"metadata {name!r}: a value has printable ASCII characters only")
        self.tokens = tokens
        self.retry = retry
        self.call_timeout_seconds = call_timeout_seconds
        self.stall_timeout_seconds = stall_timeout_seconds

    def open(self) -> None:
        """Makes the channel. Must run on the event loop that makes the calls."""
        if self._channel is None:
            self._channel = self._connect()

    async def close(self) -> None:
        """Closes the channel and cancels the calls that are under way."""
        channel, self._channel = self._channel, None
        self._callables.clear()
        if channel is not None:
            await channel.close()

    async def unary(
        self, method: Method[RequestT, ResponseT], request: RequestT, *, wait_seconds: float = 0.0
    ) -> ResponseT:
        """Returns the response of a call, which is repeated while the server is unavailable or the token has expired.

        The server may take `wait_seconds` longer than for another call, because the request asks it to wait.

        Raises:
            CallError: the server, or something on the way to it, refused or broke the call.
        """
        return await self.waiting(method, lambda _: request, wait_seconds)

    async def waiting(
        self, method: Method[RequestT, ResponseT], request: Callable[[float], RequestT], wait_seconds: float
    ) -> ResponseT:
        """Returns the response of a call as `unary` does; each try asks the server to wait for the time that is left.

        Raises:
            CallError: the server, or something on the way to it, refused or broke the call.
        """
        # gRPC can repeat calls itself, but loses some of them: github.com/grpc/grpc/issues/41036.
        end_of_wait = time.monotonic() + wait_seconds
        deadline = end_of_wait + self.call_timeout_seconds
        failures = 0
        while True:
            token = await self.tokens.current()
            left_seconds = max(0.0, end_of_wait - time.monotonic()) if failures else wait_seconds
            try:
                return await self._unary(method, request(left_seconds), token, deadline - time.monotonic())
            except CallError as error:
                failures += 1
                if failures >= tries_after(error, self.retry.call_attempts):
                    raise
                if says_token_expired(error) and await self.tokens.renew(token):
                    continue
                delay_seconds = self.retry.delay_seconds(failures, error.retry_after_seconds)
                if not says_not_served(error) or time.monotonic() + delay_seconds >= deadline:
                    raise
            await asyncio.sleep(delay_seconds)

    async def public(self, method: Method[RequestT, ResponseT], request: RequestT, timeout_seconds: float) -> ResponseT:
        """Returns the response of one call that needs no token and gets none."""
        return await self._unary(method, request, None, timeout_seconds)

    async def stream(self, method: Method[RequestT, ResponseT], request: RequestT) -> OpenStream[ResponseT]:
        """Asks for a stream; what becomes of it shows when it is read."""
        token = await self.tokens.current()
        make = self._callable(method, streams=True)
        return OpenStream(make(request, metadata=self._metadata_with(token)), token)

    async def _unary(
        self,
        method: Method[RequestT, ResponseT],
        request: RequestT,
        token: str | None,
        timeout_seconds: float,
    ) -> ResponseT:
        make = self._callable(method, streams=False)
        try:
            return await make(request, metadata=self._metadata_with(token), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise call_error_from(error) from error
        except asyncio.CancelledError:
            if is_canceled():
                raise
            raise closed_meanwhile() from None

    def _callable(self, method: Method[Any, Any], *, streams: bool) -> Any:  # noqa: ANN401 - gRPC types it no better
        if self._channel is None:
            raise RuntimeError("the client is not open: use it inside `async with MusterdClient(...) as client:`")
        if method.path not in self._callables:
            make = self._channel.unary_stream if streams else self._channel.unary_unary
            self._callables[method.path] = make(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
        return self._callables[method.path]

    def _metadata_with(self, token: str | None) -> Metadata:
        return (*self._metadata, ("authorization", f"Bearer {token}")) if token else self._metadata
