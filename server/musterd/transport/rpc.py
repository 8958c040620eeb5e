"""Turns a servicer into gRPC handlers: decodes requests, encodes responses, maps errors. One place for all services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from musterd.domain.errors import MusterdError, Reason
from musterd.transport.errors import status_of, status_of_unforeseen
from musterd.transport.open_calls import OpenCalls

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

UnaryMethod = Callable[[Any], Awaitable[Message]]
StreamMethod = Callable[[Any], AsyncIterator[Message]]


def handlers_of(service: ServiceDescriptor, servicer: object, calls: OpenCalls) -> grpc.GenericRpcHandler:
    """Return the handlers of a service. The servicer has one method for each RPC, by its name.

    A unary method is a coroutine function, a streaming one returns an async iterator; both take the request alone.
    What they wait for ends when `calls` are sent off.
    Raises AttributeError for an RPC that the servicer lacks.
    """
    handlers = {
        method.name: _stream_handler(method, getattr(servicer, method.name), calls)
        if method.server_streaming
        else _unary_handler(method, getattr(servicer, method.name), calls)
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _unary_handler(method: MethodDescriptor, serve: UnaryMethod, calls: OpenCalls) -> grpc.RpcMethodHandler[Any, Any]:
    decode, name = _decoder(method), _name_of(method)

    async def handle(data: bytes, context: Context) -> bytes:
        try:
            with calls.waiting():
                response = await serve(decode(data))
            return response.SerializeToString()
        except Exception as error:  # noqa: BLE001 - every exception becomes a status
            return await _abort(context, error, name)

    return grpc.unary_unary_rpc_method_handler(cast("Any", handle))


def _stream_handler(method: MethodDescriptor, serve: StreamMethod, calls: OpenCalls) -> grpc.RpcMethodHandler[Any, Any]:
    decode, name = _decoder(method), _name_of(method)

    async def handle(data: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            responses = serve(decode(data))
            while True:
                with calls.waiting():
                    response = await anext(responses, None)
                if response is None:
                    return
                yield response.SerializeToString()
        except Exception as error:  # noqa: BLE001 - every exception becomes a status
            await _abort(context, error, name)

    return grpc.unary_stream_rpc_method_handler(cast("Any", handle))


def _name_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _decoder(method: MethodDescriptor) -> Callable[[bytes], Message]:
    message_class = GetMessageClass(method.input_type)
    type_name = method.input_type.full_name

    def decode(data: bytes) -> Message:
        try:
            return message_class.FromString(data)
        except DecodeError as error:
            raise MusterdError(
                reason=Reason.INVALID_ARGUMENT,
                message=f"the request is not a valid {type_name}: send the fields of the contract, strings in UTF-8",
            ) from error

    return decode


async def _abort(context: Context, error: Exception, method: str) -> NoReturn:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    status = status_of(error) if isinstance(error, MusterdError) else status_of_unforeseen(error, method)
    await context.abort_with_status(status)
    raise error
