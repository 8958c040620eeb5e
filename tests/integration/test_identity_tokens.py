"""Which tokens the server takes, and what it answers to all others."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.wire import Answer, Wire, wire_to
from tests.unit.auth.hand_clock import EPOCH_UNIX, HandClock
from tests.unit.auth.issuer import (
    ABSENT,
    AUDIENCE,
    GOOD_CLAIMS,
    ISSUER,
    SECRET,
    Signer,
    forge,
    hmac_sha256,
    jwk_of,
    jwks_of,
    pem_of,
    rsa_key,
    unsigned,
)
from tests.unit.auth.jwks_server import JwksServer

from musterd import Musterd
from musterd.testing import serve

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
RSA = Signer(key=rsa_key(), algorithm="RS256", kid="rsa")
GOOD = RSA.token(scope="agents:run")
RULES: dict[str, Any] = {"mode": "jwt", "issuer": ISSUER, "audience": AUDIENCE}


def greeter() -> Musterd:
    return Musterd(agents=[Agent(saying("hello"), name="greeter")])


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncGenerator[Wire]:
    """A server that knows one RSA key and a secret, at the time that GOOD_CLAIMS are made for."""
    key_file = tmp_path / "rsa.pem"
    key_file.write_bytes(pem_of(rsa_key()))
    auth = {**RULES, "public_key_files": [key_file], "secret": SECRET}
    async with serve(greeter(), clock=HandClock(), auth=auth) as client, wire_to(client.target) as wire:
        yield wire


@pytest.fixture
def key_sets() -> Iterator[JwksServer]:
    server = JwksServer()
    yield server
    server.close()


async def run(wire: Wire, token: str | None, *metadata: tuple[str, str]) -> Answer:
    return await wire.ask("RunAgent", token=token, headers=metadata, agent_id="greeter", message="hi")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(GOOD, id="RS256"),
        pytest.param(Signer(key=SECRET, algorithm="HS256", kid="secret").token(scope="agents:run"), id="HS256"),
        pytest.param(RSA.token(scope="agents:greeter:run"), id="scope for this agent"),
        pytest.param(RSA.token(scope=["agents:*:run"]), id="scope for all agents, as a list"),
        pytest.param(RSA.token(scope="musterd:admin"), id="administrator"),
        pytest.param(RSA.token(scope="agents:run", note="x" * 11_000), id="as large as tokens may be"),
        pytest.param(RSA.token(scope="agents:run", note={"ключ": "😀"}), id="claims in any language"),
    ],
)
async def test_a_good_token_opens_the_door(wire: Wire, token: str) -> None:
    """I1, I2, I4."""
    assert (await run(wire, token)).code is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("token", "reason", "words"),
    [
        pytest.param(None, "TOKEN_MISSING", "Bearer", id="none"),
        pytest.param("", "TOKEN_MISSING", "Bearer", id="empty"),
        pytest.param("not-a-token", "TOKEN_INVALID", "malformed", id="no JWT"),
        pytest.param(RSA.token(exp=EPOCH_UNIX - 10), "TOKEN_EXPIRED", "fresh", id="expired"),
        pytest.param(RSA.token(nbf=EPOCH_UNIX + 11), "TOKEN_INVALID", "'nbf'", id="not yet valid"),
        pytest.param(RSA.token(iss="https://evil.example.com/"), "TOKEN_INVALID", "'iss'", id="wrong issuer"),
        pytest.param(RSA.token(aud="other"), "TOKEN_INVALID", "'aud'", id="wrong audience"),
        pytest.param(RSA.token(exp=ABSENT), "TOKEN_INVALID", "'exp'", id="no exp"),
        pytest.param(RSA.token(sub=ABSENT), "TOKEN_INVALID", "'sub'", id="no user"),
        pytest.param(
            forge({"alg": "none", "kid": "rsa"}, GOOD_CLAIMS, unsigned), "TOKEN_INVALID", "alg", id="alg none"
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "rsa"}, GOOD_CLAIMS, hmac_sha256(pem_of(rsa_key()))),
            "TOKEN_INVALID",
            "alg",
            id="HS256 signed with the RSA public key",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, GOOD_CLAIMS, hmac_sha256(pem_of(rsa_key()))),
            "TOKEN_INVALID",
            "signature",
            id="HS256 signed with the RSA public key, by the secret's kid",
        ),
        pytest.param(RSA.token({"kid": "other"}), "TOKEN_INVALID", "kid", id="unknown kid"),
        pytest.param(Signer(key=rsa_key(), algorithm="RS256").token(), "TOKEN_INVALID", "kid", id="no kid"),
        pytest.param(
            Signer(key=rsa_key(1), algorithm="RS256", kid="rsa").token(),
            "TOKEN_INVALID",
            "signature",
            id="another key by the same kid",
        ),
        pytest.param(RSA.token(note="\ud800"), "TOKEN_INVALID", "JSON", id="a claim with half a character"),
        pytest.param(RSA.token(note="x" * 12_000), "TOKEN_INVALID", "16384 bytes", id="oversized"),
    ],
)
@pytest.mark.parametrize("name", ["RunAgent", "WatchTask", "TaskStatus", "GetServerInfo"])
async def test_a_bad_token_is_refused_on_every_kind_of_call(
    wire: Wire, name: str, token: str | None, reason: str, words: str
) -> None:
    """I1, I2 (refusal)."""
    refusal = await wire.refusal(name, token=token)
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, reason)
    assert words in refusal.text
    assert refusal.kinds == ["ErrorInfo"]
    assert (await run(wire, GOOD)).code is grpc.StatusCode.OK


@pytest.mark.parametrize("value", ["Basic YWRhOmFkYQ==", "Bearer", GOOD])
async def test_credentials_of_another_kind_are_no_token(wire: Wire, value: str) -> None:
    """I1 (refusal)."""
    refusal = await run(wire, None, ("authorization", value))
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "TOKEN_MISSING")


async def test_two_tokens_are_one_too_many(wire: Wire) -> None:
    """I1 (refusal)."""
    refusal = await run(wire, GOOD, ("authorization", f"Bearer {GOOD}"))
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_is_good_until_it_expires_though_its_verdict_is_remembered(tmp_path: Path) -> None:
    """I6 (refusal)."""
    clock = HandClock()
    auth = {**RULES, "secret": SECRET}
    token = Signer(key=SECRET, algorithm="HS256").token(scope="agents:run", exp=EPOCH_UNIX + 60)
    async with serve(greeter(), clock=clock, auth=auth) as client, wire_to(client.target) as wire:
        assert (await run(wire, token)).code is grpc.StatusCode.OK
        clock.advance(59)
        assert (await run(wire, token)).code is grpc.StatusCode.OK
        clock.advance(11)
        assert (await run(wire, token)).reason == "TOKEN_EXPIRED"


async def test_a_rotated_key_takes_over_and_the_old_one_is_refused_from_then_on(key_sets: JwksServer) -> None:
    """I2."""
    old = Signer(key=rsa_key(0), algorithm="RS256", kid="old").token(scope="agents:run")
    new = Signer(key=rsa_key(1), algorithm="RS256", kid="new").token(scope="agents:run")
    key_sets.document = jwks_of(jwk_of(rsa_key(0), "old"))
    auth = {**RULES, "jwks_url": key_sets.url}
    async with serve(greeter(), clock=HandClock(), auth=auth) as client, wire_to(client.target) as wire:
        assert (await run(wire, old)).code is grpc.StatusCode.OK
        key_sets.document = jwks_of(jwk_of(rsa_key(1), "new"))
        assert (await run(wire, old)).code is grpc.StatusCode.OK
        assert (await run(wire, new)).code is grpc.StatusCode.OK
        refusal = await run(wire, old)
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_cannot_be_judged_while_the_keys_cannot_be_loaded(key_sets: JwksServer) -> None:
    """I2: the caller is told to come back, not that its token is bad."""
    key_sets.status = 503
    auth = {**RULES, "jwks_url": key_sets.url}
    async with serve(greeter(), clock=HandClock(), auth=auth) as client, wire_to(client.target) as wire:
        refusal = await run(wire, GOOD)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "KEYS_UNAVAILABLE")
    assert refusal.kinds == ["ErrorInfo", "RetryInfo"]
