"""How a gRPC server stops: every call that it has read gets an answer of ours."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.gated_model import Gate
from tests.support.wire import GUARD_SECONDS, Answer, wire_to

from musterd.domain.errors import MusterdError, Reason
from musterd.transport.open_calls import OpenCalls
from musterd.transport.server import Binding, GrpcServer
from musterd_client.v1 import server_service_pb2

SERVICE = server_service_pb2.DESCRIPTOR.services_by_name["ServerService"]
METHOD = f"/{SERVICE.full_name}/GetServerInfo"
CALLERS = 8
CALM_SECONDS = 0.5


class Servicer:
    """Serves ServerService; each call waits at the gate if there is one."""

    def __init__(self) -> None:
        self.gate: Gate | None = None

    async def GetServerInfo(self, request: Any) -> server_service_pb2.GetServerInfoResponse:  # noqa: N802 - of gRPC
        if self.gate is not None:
            await self.gate.wait()
        return server_service_pb2.GetServerInfoResponse()


class GatedInterceptor(grpc.aio.ServerInterceptor):
    """Lets each call wait at the gate if there is one, as one that asks for keys does."""

    def __init__(self) -> None:
        self.gate: Gate | None = None

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        return await continuation(handler_call_details)


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def interceptor() -> GatedInterceptor:
    return GatedInterceptor()


@pytest.fixture
async def server(servicer: Servicer, interceptor: GatedInterceptor, tmp_path: Path) -> AsyncGenerator[GrpcServer]:
    server = GrpcServer(
        {SERVICE: servicer}, [interceptor], max_message_bytes=65_536, max_token_bytes=1_024, with_reflection=False
    )
    await server.start(Binding(unix_socket=tmp_path / "grpc.sock"))
    yield server
    await server.stop(0, 0)


def check_sent_off(answer: Answer) -> None:
    """Fail unless a call was answered as a server does that goes down."""
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


@pytest.mark.parametrize("place", ["servicer", "interceptor"])
async def test_a_call_that_does_not_end_within_the_grace_is_told_why(
    server: GrpcServer, servicer: Servicer, interceptor: GatedInterceptor, place: str, tmp_path: Path
) -> None:
    """R8: also one whose caller is still being found out."""
    gate = Gate()
    (servicer if place == "servicer" else interceptor).gate = gate
    async with wire_to(f"unix:{tmp_path / 'grpc.sock'}") as wire:
        call = asyncio.create_task(wire.send(METHOD, b""))
        await gate.reached.wait()
        await server.stop(0, 0)
        check_sent_off(await call)


async def test_a_call_that_ends_within_the_grace_is_answered(
    server: GrpcServer, servicer: Servicer, tmp_path: Path
) -> None:
    """R8."""
    gate = servicer.gate = Gate()
    async with wire_to(f"unix:{tmp_path / 'grpc.sock'}") as wire:
        call = asyncio.create_task(wire.send(METHOD, b""))
        await gate.reached.wait()
        stopping = asyncio.create_task(server.stop(60, 0))
        gate.open()
        answer = await call
        await stopping
    assert answer.code is grpc.StatusCode.OK


async def test_calls_that_our_code_had_no_time_to_take_are_told_why(server: GrpcServer, tmp_path: Path) -> None:
    """R8: without the calm, gRPC would drop what it has read, and say CANCELLED."""
    codes: Counter[grpc.StatusCode] = Counter()
    under_way = [False] * CALLERS
    changed = threading.Condition()
    is_over = threading.Event()

    def call(number: int) -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        with grpc.insecure_channel(f"unix:{tmp_path / 'grpc.sock'}", options=options) as channel:
            untyped: Any = channel
            ask = untyped.unary_unary(METHOD)
            while not is_over.is_set():
                with changed:
                    under_way[number] = True
                    changed.notify()
                try:
                    ask(b"")
                except grpc.RpcError as error:
                    codes[error.code()] += 1
                under_way[number] = False

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [loop.run_in_executor(pool, call, number) for number in range(CALLERS)]
        # The loop stands still here: of the calls that are made now gRPC alone knows.
        with changed:
            assert changed.wait_for(lambda: all(under_way), GUARD_SECONDS)
        await server.stop(GUARD_SECONDS, CALM_SECONDS)
        is_over.set()
        await asyncio.gather(*callers)
    assert codes.keys() == {grpc.StatusCode.UNAVAILABLE}


async def test_what_comes_once_the_calls_are_closed_is_held_back_until_dismissed() -> None:
    """R8."""
    calls = OpenCalls()
    await calls.arrive()
    await calls.see_off(0)
    held = asyncio.create_task(calls.arrive())
    await calls.calm(0, 60)
    assert calls.arrived_count == 2
    assert not held.done()
    await calls.dismiss()
    with pytest.raises(MusterdError) as refused:
        await held
    assert refused.value.reason is Reason.SHUTTING_DOWN
    with pytest.raises(MusterdError), calls.waiting():
        pass


async def test_a_call_whose_caller_goes_first_is_canceled_and_not_sent_off() -> None:
    """R3."""
    calls = OpenCalls()
    gate = Gate()

    async def serve() -> None:
        with calls.waiting():
            await gate.wait()

    serving = asyncio.create_task(serve())
    await gate.reached.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await calls.see_off(60)
