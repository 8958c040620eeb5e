"""The least that a gRPC server in Python costs: it returns what it gets, and holds streams open. Says its port."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from tests.bench.commands import answer_commands, say, tune_collector

ECHO = "/bench.Echo/Echo"
HOLD = "/bench.Echo/Hold"


async def _echo(data: bytes, _context: object) -> bytes:
    return data


async def _hold(data: bytes, _context: object) -> AsyncIterator[bytes]:
    yield data
    await asyncio.get_running_loop().create_future()


async def _nothing(_command: dict[str, Any]) -> None:
    return None


async def main() -> None:
    """Serve until the bench goes away."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(_echo),
        "Hold": grpc.unary_stream_rpc_method_handler(_hold),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tune_collector()
    say(port)
    await answer_commands(_nothing)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
