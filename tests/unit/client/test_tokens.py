import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse
from tests.unit.client.conftest import QUICK
from tests.unit.client.messages import a_task, completed, run_message, text, watch_message
from tests.unit.client.scripted import Refusal, ScriptedServer

from musterd_client import MusterdClient, RetryPolicy, UnauthenticatedError
from musterd_client.tokens import TokenSource
from musterd_client.v1.server_service_pb2 import GetServerInfoResponse

EXPIRED = Refusal(code=grpc.StatusCode.UNAUTHENTICATED, reason="TOKEN_EXPIRED", message="the token has expired")


class Issuer:
    """Gives out the tokens t1, t2 and so on."""

    def __init__(self) -> None:
        self.issued = 0

    def __call__(self) -> str:
        self.issued += 1
        return f"t{self.issued}"

    async def issue_later(self) -> str:
        await asyncio.sleep(0)
        return self()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def client(server: ScriptedServer, issuer: Issuer) -> AsyncIterator[MusterdClient]:
    async with MusterdClient(server.target, token=issuer.issue_later, retry=QUICK) as opened:
        yield opened


async def test_a_stream_whose_token_expired_goes_on_with_a_fresh_one(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """I7."""
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), EXPIRED)
    server.will("WatchTask", watch_message(completed(2), task=a_task()))

    async with client.run_agent("greeter") as run:
        assert [event.sequence async for event in run] == [1, 2]
    assert server.tokens() == ["Bearer t1", "Bearer t2"]


async def test_a_run_refused_for_an_expired_token_is_asked_for_again(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """I7."""
    server.will("RunAgent", EXPIRED)
    server.will("RunAgent", run_message(completed(1), task=a_task()))

    await client.run_agent("greeter").result()
    assert server.tokens() == ["Bearer t1", "Bearer t2"]


async def test_a_call_refused_for_an_expired_token_is_repeated_within_bounds(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """I7."""
    server.will("GetServerInfo", EXPIRED)
    server.will("GetServerInfo", GetServerInfoResponse(version="0.1.0"))
    for _ in range(QUICK.call_attempts):
        server.will("GetServerInfo", EXPIRED)

    assert (await client.server_info()).version == "0.1.0"
    with pytest.raises(UnauthenticatedError):
        await client.server_info()
    assert server.tokens() == ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3", "Bearer t4"]


async def test_a_fixed_token_that_expired_ends_the_stream(server: ScriptedServer) -> None:
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), EXPIRED)

    async with MusterdClient(server.target, token="t", retry=QUICK) as client:
        with pytest.raises(UnauthenticatedError) as caught:
            await client.run_agent("greeter").result()
    assert caught.value.reason == "TOKEN_EXPIRED"
    assert server.tokens() == ["Bearer t"]


async def test_another_refusal_of_a_token_asks_for_no_new_one(server: ScriptedServer, client: MusterdClient) -> None:
    server.will("GetServerInfo", Refusal(code=grpc.StatusCode.UNAUTHENTICATED, reason="TOKEN_INVALID"))

    with pytest.raises(UnauthenticatedError):
        await client.server_info()
    assert server.tokens() == ["Bearer t1"]


async def test_health_gets_no_token_and_metadata_goes_with_every_call(server: ScriptedServer) -> None:
    server.will("GetServerInfo", GetServerInfoResponse())

    server.will("Check", HealthCheckResponse(status=HealthCheckResponse.SERVING))

    async with MusterdClient(server.target, token="t", metadata={"X-Trace": "7"}) as client:
        await client.server_info()
        await client.health()
    assert [asked.metadata["x-trace"] for asked in server.asked] == ["7", "7"]
    assert server.tokens() == ["Bearer t", ""]


async def test_many_who_need_a_token_ask_for_it_once(issuer: Issuer) -> None:
    source = TokenSource(issuer.issue_later)

    assert set(await asyncio.gather(*(source.current() for _ in range(5)))) == {"t1"}
    assert await asyncio.gather(*(source.renew("t1") for _ in range(5))) == [True] * 5
    assert issuer.issued == 2


async def test_a_provider_may_be_sync_and_have_no_other_token() -> None:
    source = TokenSource(lambda: "same")

    assert await source.current() == "same"
    assert not await source.renew("same")


async def test_what_a_provider_raises_reaches_the_caller(server: ScriptedServer) -> None:
    def refuse() -> str:
        raise LookupError("no token today")

    async with MusterdClient(server.target, token=refuse) as client:
        with pytest.raises(LookupError, match="today"):
            await client.run_agent("greeter").start()


async def test_whoever_tries_once_may_do_it_again_with_a_fresh_token(server: ScriptedServer, issuer: Issuer) -> None:
    """I7."""
    server.will("GetServerInfo", EXPIRED)
    server.will("GetServerInfo", GetServerInfoResponse(version="0.1.0"))
    server.will("RunAgent", EXPIRED)
    server.will("RunAgent", run_message(text(1, "a"), task=a_task()), EXPIRED)
    server.will("WatchTask", watch_message(completed(2), task=a_task()))

    once = RetryPolicy(call_attempts=1, resume_attempts=0)
    async with MusterdClient(server.target, token=issuer, retry=once) as client:
        assert (await client.server_info()).version == "0.1.0"
        await client.run_agent("greeter").result()
    assert server.tokens() == [f"Bearer t{number}" for number in (1, 2, 2, 3, 4)]


@pytest.mark.parametrize("token", ["t1\n", "t1\r\nx-user: root", "tökén", "\x00"], ids=repr)
async def test_a_token_that_a_header_cannot_carry_is_refused(server: ScriptedServer, token: str) -> None:
    with pytest.raises(ValueError, match="the token is not printable") as caught:
        MusterdClient(server.target, token=token)
    assert token not in str(caught.value)
    async with MusterdClient(server.target, token=lambda: token) as client:
        with pytest.raises(ValueError, match="the token is not printable"):
            await client.server_info()
    assert server.asked == []


@pytest.mark.parametrize(("name", "value"), [("x trace", "7"), ("", "7"), ("x-trace", "7\n"), ("x-trace", "sieben…")])
def test_metadata_that_a_header_cannot_carry_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^metadata '{name}'"):
        MusterdClient("unix:/nowhere", metadata={name: value})
