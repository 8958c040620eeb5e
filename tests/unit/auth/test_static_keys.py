"""Keys from a secret and from PEM files."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.dsa import generate_private_key as generate_dsa_key
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests.unit.auth.hand_clock import HandClock
from tests.unit.auth.issuer import GOOD_CLAIMS, SECRET, Signer, ec_key, forge, hmac_sha256, pem_of, rsa_key
from tests.unit.auth.verifiers import make_verifier, refusal

from musterd.auth import KeyPlaces, RefreshPolicy, build_key_ring
from musterd.domain.errors import Reason


@pytest.mark.parametrize("kid", [None, "whatever"])
async def test_one_static_key_is_found_whatever_the_token_names(
    clock: HandClock, tmp_path: Path, kid: str | None
) -> None:
    """I2."""
    path = tmp_path / "issuer.pem"
    path.write_bytes(pem_of(rsa_key()))
    verifier = make_verifier(KeyPlaces(public_key_files=[path]), clock)
    assert (await verifier.verify(Signer(key=rsa_key(), algorithm="RS256", kid=kid).token())).user_id == "ada"


@pytest.mark.parametrize("kid", [None, 1, "", ["secret"], "k" * 257])
async def test_an_odd_key_id_is_refused_even_when_there_is_one_key(clock: HandClock, kid: object) -> None:
    """I2 (refusal)."""
    verifier = make_verifier(KeyPlaces(secret=SECRET.encode()), clock)
    token = forge({"alg": "HS256", "kid": kid}, GOOD_CLAIMS, hmac_sha256(SECRET.encode()))
    error = await refusal(verifier.verify(token))
    assert error.reason is Reason.TOKEN_INVALID
    assert "kid" in error.message


async def test_of_several_static_keys_the_token_must_name_one(clock: HandClock, tmp_path: Path) -> None:
    """I2."""
    for name, key in (("2024", rsa_key(0)), ("2025", rsa_key(1))):
        (tmp_path / f"{name}.pem").write_bytes(pem_of(key))
    verifier = make_verifier(KeyPlaces(public_key_files=[tmp_path / "2024.pem", tmp_path / "2025.pem"]), clock)
    for kid, number in (("2024", 0), ("2025", 1)):
        token = Signer(key=rsa_key(number), algorithm="RS256", kid=kid).token()
        assert (await verifier.verify(token)).user_id == "ada"
    for kid, number in ((None, 0), ("2025", 0), ("2026", 0)):
        token = Signer(key=rsa_key(number), algorithm="RS256", kid=kid).token()
        assert (await refusal(verifier.verify(token))).reason is Reason.TOKEN_INVALID


async def test_one_static_key_beside_a_key_set_must_be_named(clock: HandClock, tmp_path: Path) -> None:
    """I2."""
    (tmp_path / "jwks.json").write_bytes(b'{"keys": []}')
    places = KeyPlaces(secret=SECRET.encode(), jwks_file=tmp_path / "jwks.json")
    verifier = make_verifier(places, clock)
    await verifier.open()
    try:
        assert (await verifier.verify(Signer(key=SECRET, algorithm="HS256", kid="secret").token())).user_id == "ada"
        error = await refusal(verifier.verify(Signer(key=SECRET, algorithm="HS256").token()))
        assert error.reason is Reason.TOKEN_INVALID
    finally:
        await verifier.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "no PEM file", id="empty"),
        pytest.param(b"x" * 100_000, "no PEM file", id="large"),
        pytest.param(
            rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "private", id="private key"
        ),
        pytest.param(pem_of(rsa_key(0, 1024)), "2048", id="weak RSA key"),
        pytest.param(
            generate_private_key(SECP256K1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "secp256k1",
            id="curve that signs no tokens",
        ),
        pytest.param(
            generate_dsa_key(2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "RSA, EC",
            id="DSA key",
        ),
    ],
)
async def test_a_file_without_a_usable_public_key_is_an_error(
    clock: HandClock, tmp_path: Path, content: bytes, words: str
) -> None:
    """I2."""
    path = tmp_path / "issuer.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        build_key_ring(KeyPlaces(public_key_files=[path]), RefreshPolicy(), clock)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        pytest.param(b"x" * 31, "31 bytes", id="too short"),
        pytest.param(pem_of(ec_key()), "public key", id="public key as secret"),
    ],
)
async def test_a_bad_secret_is_an_error(clock: HandClock, secret: bytes, words: str) -> None:
    """I2."""
    with pytest.raises(ValueError, match=words):
        build_key_ring(KeyPlaces(secret=secret), RefreshPolicy(), clock)


async def test_a_secret_takes_only_the_algorithms_that_it_is_long_enough_for(clock: HandClock) -> None:
    """I2."""
    ring = build_key_ring(KeyPlaces(secret=b"x" * 48), RefreshPolicy(), clock)
    assert [bool(await ring.find(None, name)) for name in ("HS256", "HS384", "HS512")] == [True, True, False]


async def test_no_place_to_get_keys_from_is_an_error(clock: HandClock) -> None:
    """I2."""
    with pytest.raises(ValueError, match="no place"):
        build_key_ring(KeyPlaces(), RefreshPolicy(), clock)


async def test_no_key_shows_its_material(clock: HandClock) -> None:
    """I2."""
    (key,) = await build_key_ring(KeyPlaces(secret=SECRET.encode()), RefreshPolicy(), clock).find(None, "HS256")
    assert SECRET not in repr(key)
