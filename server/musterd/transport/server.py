"""The gRPC server: its ports, its services, its health, and how it goes down."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from musterd.transport.health import HealthServicer
from musterd.transport.open_calls import ArrivalInterceptor, OpenCalls
from musterd.transport.rpc import handlers_of

REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
REFLECTION_METHOD = "ServerReflectionInfo"

MAX_UNREQUESTED_SECONDS = 600
"""How long a call may wait in grpc's core before our code takes it: core's 30 s loses calls under a burst."""

OTHER_METADATA_BYTES = 16 * 1024
"""Room for the caller's metadata beside its token. Core refuses what is larger, without a reason of ours."""

KEEPALIVE_TIME_MS = 60_000
MIN_CLIENT_PING_INTERVAL_MS = 10_000

LAST_ANSWERS_SECONDS = 1.0
"""How long the answers to the last calls may take on their way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where the server listens; `listen` (host:port) or `unix_socket` may be absent, not both.

    Port 0 takes a free one. `certificate` is a PEM chain and its private key, for TLS on TCP.
    """

    listen: str = ""
    unix_socket: Path | None = None
    unix_socket_mode: int = 0o600
    certificate: tuple[bytes, bytes] | None = None


class GrpcServer:
    """Serves the given services, with health for each and reflection.

    With `shares_port` other processes that say the same may listen on the TCP port too: each connection goes to one of
    them.
    """

    def __init__(
        self,
        services: Mapping[ServiceDescriptor, object],
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        *,
        max_message_bytes: int,
        max_token_bytes: int,
        with_reflection: bool,
        shares_port: bool = False,
    ) -> None:
        self.tcp_port: int | None = None
        self._names = [service.full_name for service in services]
        self._health = HealthServicer(self._names)
        self._calls = OpenCalls()
        self._unix_socket: Path | None = None
        self._server = grpc.aio.server(
            interceptors=[ArrivalInterceptor(self._calls), *interceptors],
            options=[
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", -1),
                # Twice, so that a token which is too large is refused by the verifier, in words.
                ("grpc.max_metadata_size", 2 * max_token_bytes + OTHER_METADATA_BYTES),
                ("grpc.server_max_unrequested_time_in_server", MAX_UNREQUESTED_SECONDS),
                ("grpc.keepalive_time_ms", KEEPALIVE_TIME_MS),
                ("grpc.http2.min_ping_interval_without_data_ms", MIN_CLIENT_PING_INTERVAL_MS),
                ("grpc.so_reuseport", int(shares_port)),
            ],
        )
        self._server.add_generic_rpc_handlers(
            tuple(handlers_of(service, servicer, self._calls) for service, servicer in services.items())
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if with_reflection:
            self._add_reflection()

    def _add_reflection(self) -> None:
        names = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        servicer = cast("Any", reflection.aio.ReflectionServicer(names))
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        # grpcio ships the messages of v1alpha only; those of v1 are the same on the wire.
        for name in (reflection.SERVICE_NAME, REFLECTION_V1):
            generic = grpc.method_handlers_generic_handler(name, {REFLECTION_METHOD: handler})
            self._server.add_generic_rpc_handlers((generic,))

    async def start(self, binding: Binding) -> None:
        """Bind and serve. Raises OSError with what to change when an address is taken or not allowed."""
        if binding.listen:
            self.tcp_port = self._bind_tcp(binding)
        if binding.unix_socket is not None:
            self._bind_unix(binding.unix_socket, binding.unix_socket_mode)
        await self._server.start()
        self._health.serve()

    def _bind_tcp(self, binding: Binding) -> int:
        try:
            if binding.certificate is None:
                return self._server.add_insecure_port(binding.listen)
            chain, key = binding.certificate
            credentials = grpc.ssl_server_credentials([(key, chain)])
            return self._server.add_secure_port(binding.listen, credentials)
        except RuntimeError as error:
            raise _taken(binding.listen) from error

    def _bind_unix(self, path: Path, mode: int) -> None:
        _remove_stale_socket(path)
        with _umask(0o777 & ~mode):
            try:
                self._server.add_insecure_port(f"unix:{path}")
            except RuntimeError as error:
                message = f"cannot listen on {path}: does its folder exist, and may this user write there?"
                raise OSError(errno.EACCES, message) from error
        path.chmod(mode)
        self._unix_socket = path

    def announce_shutdown(self) -> None:
        """Tell health checkers that this server takes no more work."""
        self._health.shut_down()

    async def stop(self, grace_seconds: float, calm_seconds: float) -> None:
        """Take no more calls, answer those under way, and remove the socket.

        Each of them has the grace to end by itself, then it gets SHUTTING_DOWN. Connections are closed once no call has
        come for `calm_seconds`, for gRPC drops what it has read and our code did not take.
        """
        await self._calls.see_off(grace_seconds)
        await self._calls.calm(calm_seconds, LAST_ANSWERS_SECONDS)
        # Stopping tells the connections to go away as it begins, so that whom we then dismiss does not come back here.
        await asyncio.gather(self._server.stop(LAST_ANSWERS_SECONDS), self._calls.dismiss())
        if self._unix_socket is not None:
            self._unix_socket.unlink(missing_ok=True)


def check_free(listen: str) -> None:
    """Raise OSError when a process listens on a TCP address: where ports are shared, binding does not tell.

    So it does when this machine can listen on none of what a name stands for. A name that means nothing is left to who
    binds it.
    """
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return
    failures = [error for each in found if (error := _failure_to_bind(each)) is not None]
    for error in failures:
        if error.errno == errno.EADDRINUSE:
            raise _taken(listen) from error
    if failures and len(failures) == len(found):
        raise OSError(failures[0].errno, f"cannot listen on {listen}: {failures[0].strerror}") from failures[0]


def _failure_to_bind(found: tuple[Any, ...]) -> OSError | None:
    family, kind, protocol, _, address = found
    try:
        with socket.socket(family, kind, protocol) as probe:
            # Connections that have ended are no reason to refuse.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _taken(listen: str) -> OSError:
    message = f"cannot listen on {listen}: is another server there? Choose another server.listen"
    return OSError(errno.EADDRINUSE, message)


@contextmanager
def _umask(mask: int) -> Generator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket that no process serves any more. Raises OSError when one does, or when it is no socket."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(errno.EEXIST, f"{path} is there and is no socket: choose another server.unix_socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, f"another server listens on {path}: stop it or choose another server.unix_socket")
