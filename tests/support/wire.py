"""gRPC calls as any program could make them: raw messages in, raw messages or a whole status out."""
# pyright: reportMissingTypeStubs=false
# google.rpc has no types.

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from musterd_client import methods
from musterd_client.methods import Method

GUARD_SECONDS = 60
Headers = Sequence[tuple[str, str | bytes]]
STATUS_DETAILS = "grpc-status-details-bin"
METHODS: Mapping[str, Method[Any, Any]] = {
    each.name: cast("Method[Any, Any]", each)
    for each in cast("dict[str, Any]", vars(methods)).values()
    if isinstance(each, Method) and each.path.startswith("/musterd.")
}
_DETAIL_CLASSES: Mapping[str, type[Message]] = {
    f"type.googleapis.com/google.rpc.{each.DESCRIPTOR.name}": each
    for each in cast(
        "Sequence[type[Message]]",
        (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.PreconditionFailure,
            error_details_pb2.QuotaFailure,
            error_details_pb2.ResourceInfo,
            error_details_pb2.RetryInfo,
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a call was answered with: its status, the details of that, and the responses before it.

    `trailers` are as they were on the wire.
    """

    code: grpc.StatusCode
    text: str
    details: Sequence[Any] = ()
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    responses: Sequence[bytes] = field(default=(), compare=False)

    @property
    def info(self) -> Any:
        """The ErrorInfo, of which there must be exactly one."""
        (info,) = self._all("ErrorInfo")
        return info

    @property
    def reason(self) -> str:
        """The machine-readable reason."""
        assert self.info.domain == "musterd"
        return self.info.reason

    @property
    def paths(self) -> list[str]:
        """The fields that a BadRequest names."""
        return [violation.field for each in self._all("BadRequest") for violation in each.field_violations]

    @property
    def kinds(self) -> list[str]:
        """What kinds of details there are."""
        return [each.DESCRIPTOR.name for each in self.details]

    def _all(self, kind: str) -> list[Any]:
        return [each for each in self.details if each.DESCRIPTOR.name == kind]


class Wire:
    """A channel to a server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def send(self, path: str, data: bytes, *, token: str | None = None, headers: Headers = ()) -> Answer:
        """Call any RPC by its path with one message, and return how it was answered."""
        call = self._begin(path, data, token, headers)
        responses: list[bytes] = []
        try:
            while (response := await call.read()) is not grpc.aio.EOF:
                responses.append(response)
        except grpc.aio.AioRpcError as error:
            return _answer_of(error, responses)
        return Answer(code=grpc.StatusCode.OK, text="", responses=responses)

    async def first(self, path: str, data: bytes, *, token: str | None = None) -> bytes:
        """Call any RPC by its path, and let go of it after the first response, which there must be."""
        call = self._begin(path, data, token, ())
        response = await call.read()
        assert response is not grpc.aio.EOF
        call.cancel()
        return response

    def _begin(self, path: str, data: bytes, token: str | None, headers: Headers) -> Any:
        sent = (*headers, ("authorization", f"Bearer {token}")) if token is not None else tuple(headers)
        # On the wire a single message is a stream of one: this serves for all RPCs.
        untyped: Any = self._channel
        return untyped.unary_stream(path)(data, metadata=sent, timeout=GUARD_SECONDS)

    async def ask(self, name: str, *, token: str | None = None, headers: Headers = (), **fields: Any) -> Answer:
        """Call one of musterd's RPCs by its name, and return how it was answered."""
        method = METHODS[name]
        data = method.request(**fields).SerializeToString()
        return await self.send(method.path, data, token=token, headers=headers)

    async def call(self, name: str, *, token: str | None = None, **fields: Any) -> Any:
        """Call one of musterd's RPCs, which must be served, and return its first response."""
        answer = await self.ask(name, token=token, **fields)
        assert answer.code is grpc.StatusCode.OK, answer
        return METHODS[name].response.FromString(answer.responses[0])

    async def refusal(self, name: str, *, token: str | None = None, **fields: Any) -> Answer:
        """Call one of musterd's RPCs, which must be refused before any response, and return the refusal."""
        answer = await self.ask(name, token=token, **fields)
        assert answer.code is not grpc.StatusCode.OK, answer
        assert not answer.responses, answer
        return answer


@asynccontextmanager
async def wire_to(target: str) -> AsyncGenerator[Wire]:
    """Connect to a server."""
    options = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield Wire(channel)


def _answer_of(error: grpc.aio.AioRpcError, responses: Sequence[bytes]) -> Answer:
    untyped: Any = error.trailing_metadata()
    trailers = tuple(cast("Headers", untyped or ()))
    status = status_pb2.Status()
    for key, value in trailers:
        if key == STATUS_DETAILS:
            status.ParseFromString(cast("bytes", value))
    if status.details:
        code: tuple[int, str] = error.code().value
        assert (status.code, status.message) == (code[0], error.details())
    return Answer(
        code=error.code(),
        text=error.details() or "",
        details=[_unpacked(detail) for detail in status.details],
        trailers=trailers,
        responses=responses,
    )


def _unpacked(packed: Any) -> Message:
    detail = _DETAIL_CLASSES[packed.type_url]()
    assert packed.Unpack(detail)
    return detail
