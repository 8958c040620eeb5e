"""Verdicts that are remembered."""

from pathlib import Path

from tests.unit.auth.hand_clock import EPOCH_UNIX, HandClock
from tests.unit.auth.issuer import SECRET, Signer, jwk_of, jwks_of, rsa_key
from tests.unit.auth.jwks_server import JwksServer
from tests.unit.auth.verifiers import make_verifier, refusal

from musterd.auth import KeyPlaces
from musterd.domain.errors import Reason

PLACES = KeyPlaces(secret=SECRET.encode())
SIGNER = Signer(key=SECRET, algorithm="HS256")


async def test_a_good_verdict_is_remembered(clock: HandClock) -> None:
    """I6."""
    verifier = make_verifier(PLACES, clock)
    token = SIGNER.token()
    assert verifier.cached(token) is None
    principal = await verifier.verify(token)
    assert verifier.cached(token) is principal
    assert await verifier.verify(token) is principal


async def test_a_verdict_is_forgotten_when_the_token_expires_whatever_the_leeway(clock: HandClock) -> None:
    """I6."""
    verifier = make_verifier(PLACES, clock)
    token = SIGNER.token(exp=EPOCH_UNIX + 60)
    await verifier.verify(token)
    clock.advance(59.9)
    assert verifier.cached(token) is not None
    clock.advance(0.1)
    assert verifier.cached(token) is None
    assert (await verifier.verify(token)).user_id == "ada"
    assert verifier.cached(token) is None
    clock.advance(10)
    assert (await refusal(verifier.verify(token))).reason is Reason.TOKEN_EXPIRED


async def test_a_bad_verdict_is_not_remembered(clock: HandClock) -> None:
    """I6 (refusal)."""
    verifier = make_verifier(PLACES, clock)
    token = SIGNER.token(nbf=EPOCH_UNIX + 60)
    await refusal(verifier.verify(token))
    assert verifier.cached(token) is None


async def test_the_verdict_that_was_not_used_for_longest_is_forgotten_first(clock: HandClock) -> None:
    """I6."""
    verifier = make_verifier(PLACES, clock, verdict_cache_size=2)
    first, second, third = (SIGNER.token(sub=name) for name in ("ada", "grace", "barbara"))
    await verifier.verify(first)
    await verifier.verify(second)
    assert verifier.cached(first) is not None
    await verifier.verify(third)
    assert verifier.cached(second) is None
    assert verifier.cached(first) is not None
    assert verifier.cached(third) is not None


async def test_an_expired_token_within_the_leeway_takes_no_place(clock: HandClock) -> None:
    """I6."""
    verifier = make_verifier(PLACES, clock, verdict_cache_size=1)
    token = SIGNER.token()
    await verifier.verify(token)
    await verifier.verify(SIGNER.token(exp=EPOCH_UNIX - 5))
    assert verifier.cached(token) is not None


async def test_no_verdict_is_remembered_with_a_size_of_zero(clock: HandClock) -> None:
    """I6."""
    verifier = make_verifier(PLACES, clock, verdict_cache_size=0)
    token = SIGNER.token()
    await verifier.verify(token)
    assert verifier.cached(token) is None


async def test_oversized_and_strange_tokens_are_not_looked_up(clock: HandClock) -> None:
    """I6 (refusal)."""
    verifier = make_verifier(PLACES, clock)
    assert verifier.cached("x" * 16_385) is None
    assert verifier.cached("\ud800") is None


async def test_verdicts_of_a_key_that_is_gone_are_forgotten_and_others_kept(
    clock: HandClock, jwks_server: JwksServer, tmp_path: Path
) -> None:
    """I6."""
    old, new = (Signer(key=rsa_key(number), algorithm="RS256", kid=f"k{number}") for number in (0, 1))
    both = jwks_of(jwk_of(rsa_key(0), "k0"), jwk_of(rsa_key(1), "k1"))
    jwks_server.document = both
    verifier = make_verifier(KeyPlaces(jwks_url=jwks_server.url), clock)
    await verifier.open()
    try:
        old_token, new_token = old.token(), new.token()
        await verifier.verify(old_token)
        await verifier.verify(new_token)
        jwks_server.document = jwks_of(jwk_of(rsa_key(1), "k1"))
        await clock.until_asleep()
        clock.advance(300)
        await clock.until_asleep()
        assert verifier.cached(old_token) is None
        assert verifier.cached(new_token) is not None
        assert (await refusal(verifier.verify(old_token))).reason is Reason.TOKEN_INVALID
    finally:
        await verifier.close()


async def test_a_verdict_is_forgotten_when_another_key_takes_the_same_id(
    clock: HandClock, jwks_server: JwksServer
) -> None:
    """I6."""
    jwks_server.document = jwks_of(jwk_of(rsa_key(0), "k"))
    verifier = make_verifier(KeyPlaces(jwks_url=jwks_server.url), clock)
    await verifier.open()
    try:
        token = Signer(key=rsa_key(0), algorithm="RS256", kid="k").token()
        await verifier.verify(token)
        jwks_server.document = jwks_of(jwk_of(rsa_key(1), "k"))
        await clock.until_asleep()
        clock.advance(300)
        await clock.until_asleep()
        assert verifier.cached(token) is None
    finally:
        await verifier.close()
