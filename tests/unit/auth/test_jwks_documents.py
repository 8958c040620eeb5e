"""Which keys of a key set are used, and for what."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from tests.unit.auth.issuer import ec_key, ed_key, jwk_of, jwks_of, rsa_key

from musterd.auth.jwks import JWKS_MAX_BYTES, JWKS_MAX_KEYS, KeysNotLoadedError, parse_jwks

RSA_ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        pytest.param(jwk_of(rsa_key(), "k"), RSA_ALGORITHMS, id="RSA"),
        pytest.param(jwk_of(ec_key(), "k"), {"ES256"}, id="P-256"),
        pytest.param(jwk_of(generate_private_key(SECP384R1()), "k"), {"ES384"}, id="P-384"),
        pytest.param(jwk_of(ed_key(), "k"), {"EdDSA"}, id="Ed25519"),
        pytest.param(jwk_of(rsa_key(), "k", alg="RS384"), {"RS384"}, id="its own algorithm"),
        pytest.param(jwk_of(rsa_key(), "k", use="sig"), RSA_ALGORITHMS, id="for signatures"),
        pytest.param(jwk_of(rsa_key(), "k", key_ops=["verify"]), RSA_ALGORITHMS, id="for verifying"),
    ],
)
def test_a_key_takes_the_algorithms_of_its_family(jwk: dict[str, Any], algorithms: set[str]) -> None:
    """I2."""
    (key,) = parse_jwks(jwks_of(jwk))
    assert key.kid == "k"
    assert key.algorithms == algorithms


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(jwk_of(rsa_key()), id="no kid"),
        pytest.param(jwk_of(rsa_key(), ""), id="kid empty"),
        pytest.param(jwk_of(rsa_key()) | {"kid": 1}, id="kid a number"),
        pytest.param(jwk_of(rsa_key(), "k" * 257), id="kid too long"),
        pytest.param(jwk_of(rsa_key(), "k", use="enc"), id="for encryption"),
        pytest.param(jwk_of(rsa_key(), "k", use=["sig"]), id="use a list"),
        pytest.param(jwk_of(rsa_key(), "k", key_ops=["sign"]), id="for signing only"),
        pytest.param(jwk_of(rsa_key(), "k", key_ops="verify"), id="key_ops a text"),
        pytest.param(jwk_of(rsa_key(), "k", alg="HS256"), id="algorithm of another family"),
        pytest.param(jwk_of(rsa_key(), "k", alg="none"), id="algorithm none"),
        pytest.param(jwk_of(rsa_key(), "k", alg="RSA-OAEP"), id="algorithm for encryption"),
        pytest.param(jwk_of(rsa_key(), "k", alg=["RS256"]), id="algorithm a list"),
        pytest.param(jwk_of(rsa_key(0, 1024), "k"), id="weak RSA"),
        pytest.param(jwk_of(ec_key(), "k", crv="secp256k1"), id="other curve"),
        pytest.param(jwk_of(ec_key(), "k", kty="RSA"), id="wrong kind"),
        pytest.param(jwk_of(rsa_key(), "k", n=7), id="modulus a number"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHM", "kid": "k"}, id="symmetric"),
        pytest.param({"kty": ["RSA"], "kid": "k"}, id="kind a list"),
        pytest.param({"kid": "k"}, id="no kind"),
    ],
)
def test_a_key_that_cannot_verify_is_left_out_and_others_stay(jwk: dict[str, Any]) -> None:
    """I2."""
    keys = parse_jwks(jwks_of(jwk, jwk_of(ed_key(), "other")))
    assert [key.kid for key in keys] == ["other"]


def test_of_a_private_key_only_the_public_part_is_kept() -> None:
    """I2."""
    private = RSAAlgorithm.to_jwk(rsa_key(), as_dict=True) | {"kid": "k", "key_ops": ["sign", "verify"]}
    (key,) = parse_jwks(jwks_of(private))
    assert isinstance(key.material, RSAPublicKey)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="a page"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no keys"),
        pytest.param(b'{"keys": {}}', id="keys an object"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(json.dumps({"keys": [{}] * (JWKS_MAX_KEYS + 1)}).encode(), id="too many keys"),
        pytest.param(b'{"keys": []}' + b" " * JWKS_MAX_BYTES, id="too large"),
    ],
)
def test_a_document_that_is_no_key_set_is_refused(document: bytes) -> None:
    """I2."""
    with pytest.raises(KeysNotLoadedError):
        parse_jwks(document)


def test_entries_that_are_no_objects_are_left_out() -> None:
    """I2."""
    assert parse_jwks(b'{"keys": [1, null, "x", []]}') == []
