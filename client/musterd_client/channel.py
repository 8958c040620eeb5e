"""The connection to a server, and its options."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
_FRAMING_BYTES = 64 * 1024

ChannelOption = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to encrypt the connection. All are PEM; without roots those of the system count.

    `private_key` and `certificate_chain` identify this client to the server (mTLS). `server_name` is the name to expect
    in the server's certificate when it is not the target's.

    Raises:
        ValueError: one of `private_key` and `certificate_chain` is given without the other.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        # gRPC ends the process when it is given one of them.
        if bool(self.private_key) != bool(self.certificate_chain):
            raise ValueError("private_key and certificate_chain identify a client together: give both, or neither")


def open_channel(
    target: str,
    *,
    tls: Tls | None,
    credentials: grpc.ChannelCredentials | None,
    options: Mapping[str, ChannelOption],
) -> grpc.aio.Channel:
    """Returns a channel to the target, which it connects to when the first call is made."""
    chosen: dict[str, ChannelOption] = {
        "grpc.max_send_message_length": MAX_MESSAGE_BYTES + _FRAMING_BYTES,
        "grpc.max_receive_message_length": MAX_MESSAGE_BYTES + _FRAMING_BYTES,
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 10_000,
        # Quick to notice a server that comes back: what is being followed waits for it.
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.min_reconnect_backoff_ms": 1_000,
        "grpc.max_reconnect_backoff_ms": 5_000,
        "grpc.primary_user_agent": "musterd-client-python",
    }
    if tls is not None and tls.server_name:
        chosen["grpc.ssl_target_name_override"] = tls.server_name
    chosen.update(options)
    if credentials is None and tls is not None:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=tls.root_certificates,
            private_key=tls.private_key,
            certificate_chain=tls.certificate_chain,
        )
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=tuple(chosen.items()))
    return grpc.aio.secure_channel(target, credentials, options=tuple(chosen.items()))
