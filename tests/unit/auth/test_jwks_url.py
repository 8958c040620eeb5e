"""Keys from a URL, that change while the server runs."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from tests.unit.auth.hand_clock import HandClock
from tests.unit.auth.issuer import Signer, jwk_of, jwks_of, rsa_key
from tests.unit.auth.jwks_server import JwksServer
from tests.unit.auth.verifiers import make_verifier, refusal

from musterd.auth import KeyPlaces, TokenVerifier
from musterd.auth.jwks_url import JwksUrl, check_jwks_url
from musterd.domain.errors import Reason

OLD = Signer(key=rsa_key(0), algorithm="RS256", kid="old")
NEW = Signer(key=rsa_key(1), algorithm="RS256", kid="new")
STRANGER = Signer(key=rsa_key(1), algorithm="RS256", kid="stranger")
OLD_SET = jwks_of(jwk_of(rsa_key(0), "old"))
NEW_SET = jwks_of(jwk_of(rsa_key(1), "new"))
YEAR_SECONDS = 365 * 86_400


@pytest.fixture
async def verifier(clock: HandClock, jwks_server: JwksServer) -> AsyncIterator[TokenVerifier]:
    """Open, with the old key known, and without a memory for verdicts."""
    jwks_server.document = OLD_SET
    opened = make_verifier(KeyPlaces(jwks_url=jwks_server.url), clock, verdict_cache_size=0)
    await opened.open()
    await clock.until_asleep()
    yield opened
    await opened.close()


async def test_a_new_key_is_accepted_after_one_load_and_the_old_one_refused_once_it_is_gone(
    verifier: TokenVerifier, jwks_server: JwksServer
) -> None:
    """I2."""
    assert (await verifier.verify(OLD.token())).user_id == "ada"
    jwks_server.document = NEW_SET
    assert (await verifier.verify(NEW.token())).user_id == "ada"
    assert jwks_server.requests == 2
    assert (await refusal(verifier.verify(OLD.token()))).reason is Reason.TOKEN_INVALID


async def test_known_keys_need_no_load(verifier: TokenVerifier, jwks_server: JwksServer) -> None:
    """I2."""
    for number in range(20):
        await verifier.verify(OLD.token(sub=f"user-{number}"))
    assert jwks_server.requests == 1


async def test_a_flood_of_unknown_key_ids_causes_one_load_in_each_window(
    verifier: TokenVerifier, clock: HandClock, jwks_server: JwksServer
) -> None:
    """I2."""
    tokens = [OLD.token({"kid": f"stranger-{number}"}) for number in range(50)]
    for window in range(1, 4):
        errors = await asyncio.gather(*(refusal(verifier.verify(token)) for token in tokens))
        errors += [await refusal(verifier.verify(token)) for token in tokens]
        assert {error.reason for error in errors} == {Reason.TOKEN_INVALID}
        assert jwks_server.requests == 1 + window
        clock.advance(30)


async def test_calls_that_come_during_a_load_share_it(verifier: TokenVerifier, jwks_server: JwksServer) -> None:
    """I2."""
    jwks_server.document = NEW_SET
    jwks_server.hold()
    calls = [asyncio.create_task(verifier.verify(NEW.token())) for _ in range(20)]
    await jwks_server.until_asked()
    jwks_server.gate.set()
    assert {principal.user_id for principal in await asyncio.gather(*calls)} == {"ada"}
    assert jwks_server.requests == 2


async def test_a_call_that_is_cancelled_leaves_the_load_to_the_others(
    verifier: TokenVerifier, jwks_server: JwksServer
) -> None:
    """I2."""
    jwks_server.document = NEW_SET
    jwks_server.hold()
    first, second = (asyncio.create_task(verifier.verify(NEW.token())) for _ in range(2))
    await jwks_server.until_asked()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    jwks_server.gate.set()
    assert (await second).user_id == "ada"
    assert jwks_server.requests == 2


async def test_keys_are_refreshed_in_the_background(
    verifier: TokenVerifier, clock: HandClock, jwks_server: JwksServer
) -> None:
    """I2."""
    jwks_server.document = NEW_SET
    clock.advance(299)
    await verifier.verify(OLD.token())
    clock.advance(1)
    await clock.until_asleep()
    assert jwks_server.requests == 2
    assert (await verifier.verify(NEW.token())).user_id == "ada"
    assert jwks_server.requests == 2


async def test_stale_keys_work_while_the_url_is_down_until_they_are_too_old(
    verifier: TokenVerifier, clock: HandClock, jwks_server: JwksServer
) -> None:
    """I2."""
    jwks_server.status = 500
    clock.advance(300)
    await clock.until_asleep()
    while clock.monotonic() < 3570:
        clock.advance(30)
        await clock.until_asleep()
        assert (await verifier.verify(OLD.token(exp=clock.now().timestamp() + 60))).user_id == "ada"
    clock.advance(30)
    await clock.until_asleep()
    error = await refusal(verifier.verify(OLD.token(exp=clock.now().timestamp() + 60)))
    assert error.reason is Reason.KEYS_UNAVAILABLE
    assert error.retry_after_seconds is not None
    assert error.retry_after_seconds <= 30


async def test_keys_that_are_too_old_count_no_longer_for_remembered_verdicts(
    clock: HandClock, jwks_server: JwksServer
) -> None:
    """I6 (refusal)."""
    jwks_server.document = OLD_SET
    verifier = make_verifier(KeyPlaces(jwks_url=jwks_server.url), clock)
    await verifier.open()
    try:
        token = OLD.token(exp=clock.now().timestamp() + YEAR_SECONDS)
        await verifier.verify(token)
        jwks_server.status = 500
        await clock.until_asleep()
        clock.advance(300)
        await clock.until_asleep()
        clock.advance(3299)
        await clock.until_asleep()
        assert verifier.cached(token) is not None
        clock.advance(1)
        await clock.until_asleep()
        assert verifier.cached(token) is None
    finally:
        await verifier.close()


async def test_keys_come_back_with_the_url(verifier: TokenVerifier, clock: HandClock, jwks_server: JwksServer) -> None:
    """I2."""
    jwks_server.status = 500
    for _ in range(2):
        clock.advance(300)
        await clock.until_asleep()
    jwks_server.status, jwks_server.document = 200, NEW_SET
    clock.advance(30)
    await clock.until_asleep()
    assert (await verifier.verify(NEW.token(exp=clock.now().timestamp() + 60))).user_id == "ada"


async def test_an_unknown_key_id_is_not_judged_while_the_url_is_down(
    verifier: TokenVerifier, clock: HandClock, jwks_server: JwksServer
) -> None:
    """I2."""
    jwks_server.status = 503
    error = await refusal(verifier.verify(NEW.token()))
    assert error.reason is Reason.KEYS_UNAVAILABLE
    assert error.retry_after_seconds == 30
    await refusal(verifier.verify(NEW.token()))
    assert jwks_server.requests == 2
    jwks_server.status, jwks_server.document = 200, NEW_SET
    clock.advance(30)
    assert (await verifier.verify(NEW.token())).user_id == "ada"


async def test_a_server_that_starts_before_its_issuer_gets_the_keys_later(
    clock: HandClock, jwks_server: JwksServer
) -> None:
    """I2."""
    jwks_server.status = 503
    verifier = make_verifier(KeyPlaces(jwks_url=jwks_server.url), clock)
    await verifier.open()
    try:
        assert (await refusal(verifier.verify(OLD.token()))).reason is Reason.KEYS_UNAVAILABLE
        assert jwks_server.requests == 1
        jwks_server.status, jwks_server.document = 200, OLD_SET
        await clock.until_asleep()
        clock.advance(30)
        await clock.until_asleep()
        assert (await verifier.verify(OLD.token())).user_id == "ada"
        assert jwks_server.requests == 2
    finally:
        await verifier.close()


async def test_an_empty_key_set_takes_all_keys_back(
    verifier: TokenVerifier, clock: HandClock, jwks_server: JwksServer
) -> None:
    """I2."""
    jwks_server.document = b'{"keys": []}'
    clock.advance(300)
    await clock.until_asleep()
    assert (await refusal(verifier.verify(OLD.token()))).reason is Reason.KEYS_UNAVAILABLE


async def test_a_token_without_a_key_id_is_refused_even_when_there_is_one_key(
    verifier: TokenVerifier, jwks_server: JwksServer
) -> None:
    """I2 (refusal)."""
    error = await refusal(verifier.verify(Signer(key=rsa_key(0), algorithm="RS256").token()))
    assert error.reason is Reason.TOKEN_INVALID
    assert "kid" in error.message
    assert jwks_server.requests == 1


@pytest.mark.parametrize(
    ("status", "headers", "document"),
    [
        pytest.param(302, {"location": "/elsewhere"}, NEW_SET, id="redirect"),
        pytest.param(404, {}, NEW_SET, id="not found"),
        pytest.param(204, {}, b"", id="no content"),
        pytest.param(200, {}, b"x" * 300_000, id="too large"),
        pytest.param(200, {}, b"<html>", id="a page"),
        pytest.param(200, {"content-encoding": "gzip"}, gzip.compress(NEW_SET), id="packed"),
    ],
)
async def test_a_bad_answer_changes_nothing(
    verifier: TokenVerifier, jwks_server: JwksServer, status: int, headers: dict[str, str], document: bytes
) -> None:
    """I2."""
    jwks_server.status, jwks_server.headers, jwks_server.document = status, headers, document
    assert (await refusal(verifier.verify(NEW.token()))).reason is Reason.KEYS_UNAVAILABLE
    assert (await verifier.verify(OLD.token())).user_id == "ada"
    assert jwks_server.paths == ["/jwks.json", "/jwks.json"]


async def test_an_answer_without_end_is_cut_off(verifier: TokenVerifier, jwks_server: JwksServer) -> None:
    """I2."""
    jwks_server.document = b"x" * 64_000_000
    assert (await refusal(verifier.verify(NEW.token()))).reason is Reason.KEYS_UNAVAILABLE
    await jwks_server.until_cut_off()


async def test_an_answer_that_does_not_come_in_time_is_given_up(clock: HandClock, jwks_server: JwksServer) -> None:
    """I2."""
    jwks_server.hold()
    places = KeyPlaces(jwks_url=jwks_server.url, jwks_timeout_seconds=0.1)
    verifier = make_verifier(places, clock)
    await verifier.open()
    try:
        assert (await refusal(verifier.verify(OLD.token()))).reason is Reason.KEYS_UNAVAILABLE
    finally:
        await verifier.close()


async def test_a_load_under_way_ends_when_the_verifier_is_closed(clock: HandClock, jwks_server: JwksServer) -> None:
    """I2."""
    jwks_server.document = OLD_SET
    verifier = make_verifier(KeyPlaces(jwks_url=jwks_server.url), clock)
    await verifier.open()
    await clock.until_asleep()
    jwks_server.hold()
    clock.advance(300)
    await jwks_server.until_asked()
    await verifier.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.com/jwks.json",
        "https://id.example.com:8443/jwks.json?tenant=a",
        "http://127.0.0.1:8080/jwks.json",
        "http://127.1.2.3/jwks.json",
        "http://[::1]:8080/jwks.json",
        "http://localhost/jwks.json",
    ],
)
def test_a_url_is_https_or_loopback(url: str) -> None:
    """I2."""
    assert check_jwks_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.com/jwks.json",
        "http://10.0.0.1/jwks.json",
        "http://localhost.example.com/jwks.json",
        "http://127.0.0.1.example.com/jwks.json",
        "http://localhost@id.example.com/jwks.json",
        "https://user:hunter2@id.example.com/jwks.json",
        "file:///etc/jwks.json",
        "ftp://localhost/jwks.json",
        "//localhost/jwks.json",
        "jwks.json",
        "https://id.example.com:port/jwks.json",
        "https://id.example.com/\0",
        "https://xn--/jwks.json",
        "https://",
        "",
    ],
)
def test_another_url_is_an_error(url: str) -> None:
    """I2."""
    with pytest.raises(ValueError, match="must") as caught:
        JwksUrl(url, timeout_seconds=1)
    assert "hunter2" not in str(caught.value)
