"""Finds out who calls before any servicer runs, and refuses who may not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeAlias, cast

import grpc

from musterd.auth import TokenVerifier, anonymous_principal, authorize, bearer_token, is_public
from musterd.domain.errors import MusterdError
from musterd.domain.principal import Principal
from musterd.transport.call import Call, set_current_call
from musterd.transport.errors import status_of, status_of_unforeseen

AUTHORIZATION = "authorization"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata = Collection[tuple[str, str | bytes]]


class IdentityInterceptor(grpc.aio.ServerInterceptor):
    """Verifies the caller's token and scopes, and notes the call where servicers read it.

    Without a verifier authentication is off, and everyone is the administrator of one tenant.
    """

    def __init__(
        self, verifier: TokenVerifier | None, *, metadata_allow_list: Collection[str], is_reflection_open: bool
    ) -> None:
        self._verifier = verifier
        self._metadata_allow_list = frozenset(name.lower() for name in metadata_allow_list) - {AUTHORIZATION}
        self._is_reflection_open = is_reflection_open
        self._anonymous = anonymous_principal()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Let a call pass to its servicer, or answer it with the refusal."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or is_public(method, reflection_is_open=self._is_reflection_open):
            return handler
        metadata = cast("Metadata", handler_call_details.invocation_metadata or ())
        try:
            principal = await self._identify(metadata)
            is_bound = authorize(principal, method)
        except MusterdError as error:
            return _refusal(handler, status_of(error))
        except Exception as error:  # noqa: BLE001 - the caller must get an answer, and the log the exception
            return _refusal(handler, status_of_unforeseen(error, method))
        kept = {key: str(value) for key, value in metadata if key in self._metadata_allow_list}
        set_current_call(Call(principal=principal, method=method, metadata=kept, is_bound_to_component=is_bound))
        return handler

    async def _identify(self, metadata: Metadata) -> Principal:
        if self._verifier is None:
            return self._anonymous
        token = bearer_token([str(value) for key, value in metadata if key == AUTHORIZATION])
        return self._verifier.cached(token) or await self._verifier.verify(token)


def _refusal(handler: Handler, status: grpc.Status) -> Handler:
    async def refuse(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort_with_status(status)

    serve = cast("Any", refuse)
    match handler.request_streaming, handler.response_streaming:
        case False, False:
            return grpc.unary_unary_rpc_method_handler(serve)
        case False, True:
            return grpc.unary_stream_rpc_method_handler(serve)
        case True, False:
            return grpc.stream_unary_rpc_method_handler(serve)
        case _:
            return grpc.stream_stream_rpc_method_handler(serve)
