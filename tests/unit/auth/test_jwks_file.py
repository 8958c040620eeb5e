"""Keys from a file, that changes while the server runs."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.auth.hand_clock import HandClock
from tests.unit.auth.issuer import Signer, jwk_of, jwks_of, rsa_key
from tests.unit.auth.verifiers import make_verifier, refusal

from musterd.auth import KeyPlaces, KeysNotLoadedError, TokenVerifier
from musterd.domain.errors import Reason

OLD = Signer(key=rsa_key(0), algorithm="RS256", kid="old")
NEW = Signer(key=rsa_key(1), algorithm="RS256", kid="new")
OLD_SET = jwks_of(jwk_of(rsa_key(0), "old"))
NEW_SET = jwks_of(jwk_of(rsa_key(1), "new"))
CHECK_SECONDS = 5


def put(path: Path, document: bytes | None, mtime_seconds: int) -> None:
    """Write the file in place; None removes it."""
    if document is None:
        path.unlink()
        return
    path.write_bytes(document)
    os.utime(path, (mtime_seconds, mtime_seconds))


def move(old: Path, new: Path) -> None:
    old.rename(new)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    put(path, OLD_SET, 1)
    return path


@pytest.fixture
async def verifier(clock: HandClock, path: Path) -> AsyncIterator[TokenVerifier]:
    opened = make_verifier(KeyPlaces(jwks_file=path), clock)
    await opened.open()
    await clock.until_asleep()
    yield opened
    await opened.close()


async def test_a_new_key_in_the_file_is_found_at_once(verifier: TokenVerifier, path: Path) -> None:
    """I2."""
    assert (await verifier.verify(OLD.token())).user_id == "ada"
    put(path, NEW_SET, 2)
    assert (await verifier.verify(NEW.token())).user_id == "ada"
    assert (await refusal(verifier.verify(OLD.token()))).reason is Reason.TOKEN_INVALID


async def test_a_key_that_left_the_file_is_forgotten_in_the_background(
    verifier: TokenVerifier, clock: HandClock, path: Path
) -> None:
    """I2."""
    token = OLD.token()
    await verifier.verify(token)
    put(path, NEW_SET, 2)
    clock.advance(CHECK_SECONDS)
    await clock.until_asleep()
    assert verifier.cached(token) is None
    assert (await refusal(verifier.verify(token))).reason is Reason.TOKEN_INVALID


async def test_a_file_that_did_not_change_is_not_read_again(
    verifier: TokenVerifier, clock: HandClock, path: Path
) -> None:
    """I2."""
    put(path, b"x" * len(OLD_SET), 1)
    clock.advance(CHECK_SECONDS)
    await clock.until_asleep()
    assert (await verifier.verify(OLD.token())).user_id == "ada"
    assert (await refusal(verifier.verify(NEW.token()))).reason is Reason.TOKEN_INVALID


async def test_a_file_that_broke_leaves_the_old_keys_until_it_is_repaired(
    verifier: TokenVerifier, clock: HandClock, path: Path
) -> None:
    """I2."""
    put(path, b"{", 2)
    clock.advance(CHECK_SECONDS)
    await clock.until_asleep()
    assert (await verifier.verify(OLD.token())).user_id == "ada"
    put(path, None, 0)
    clock.advance(CHECK_SECONDS)
    await clock.until_asleep()
    assert (await verifier.verify(OLD.token())).user_id == "ada"
    put(path, NEW_SET, 3)
    clock.advance(CHECK_SECONDS)
    await clock.until_asleep()
    assert (await verifier.verify(NEW.token())).user_id == "ada"


async def test_a_file_that_comes_back_unchanged_after_too_long_is_read_again(
    verifier: TokenVerifier, clock: HandClock, path: Path
) -> None:
    """I2."""
    aside = path.with_suffix(".aside")
    move(path, aside)
    for seconds in (CHECK_SECONDS, 3600):
        clock.advance(seconds)
        await clock.until_asleep()
    assert (
        await refusal(verifier.verify(OLD.token(exp=clock.now().timestamp() + 60)))
    ).reason is Reason.KEYS_UNAVAILABLE
    move(aside, path)
    clock.advance(CHECK_SECONDS)
    await clock.until_asleep()
    assert (await verifier.verify(OLD.token(exp=clock.now().timestamp() + 60))).user_id == "ada"


async def test_keys_outlive_a_process_that_was_stopped_for_longer_than_keys_may_be_old(
    verifier: TokenVerifier, clock: HandClock
) -> None:
    """I2: the file did not change in that time, and the load that follows says so."""
    clock.advance(2 * 3600)
    await clock.until_asleep()
    for _ in range(2):
        assert (await verifier.verify(OLD.token(exp=clock.now().timestamp() + 60))).user_id == "ada"
        clock.advance(CHECK_SECONDS)
        await clock.until_asleep()


@pytest.mark.parametrize("document", [None, b"", b"{}"])
async def test_a_server_does_not_start_on_a_file_that_holds_no_key_set(
    clock: HandClock, path: Path, document: bytes | None
) -> None:
    """I2."""
    put(path, document, 2)
    verifier = make_verifier(KeyPlaces(jwks_file=path), clock)
    try:
        with pytest.raises(KeysNotLoadedError) as caught:
            await verifier.open()
        assert str(path) in str(caught.value)
    finally:
        await verifier.close()
