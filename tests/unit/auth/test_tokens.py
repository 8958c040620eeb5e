"""Which tokens are accepted, and what the others are refused with."""

import json
from pathlib import Path

import pytest
from tests.unit.auth.hand_clock import EPOCH_UNIX, HandClock
from tests.unit.auth.issuer import (
    ABSENT,
    GOOD_CLAIMS,
    SECRET,
    Signer,
    ec_key,
    ed_key,
    forge,
    hmac_sha256,
    jwk_of,
    jwks_of,
    pem_of,
    rsa_key,
    unsigned,
)
from tests.unit.auth.verifiers import make_verifier, refusal

from musterd.auth import KeyPlaces, TokenRules, TokenVerifier, bearer_token
from musterd.domain.errors import MusterdError, Reason

RSA = Signer(key=rsa_key(), algorithm="RS256", kid="rsa")
GOOD_HEADER = {"alg": "RS256", "kid": "rsa"}
RIGHT_SECRET = hmac_sha256(SECRET.encode())
RSA_PEM_AS_SECRET = hmac_sha256(pem_of(rsa_key()))


def raw_claims() -> bytes:
    """Return a good payload in which a claim that nobody reads is "??"."""
    return json.dumps({**GOOD_CLAIMS, "team": "??"}).encode()


@pytest.fixture
async def verifier(clock: HandClock, tmp_path: Path) -> TokenVerifier:
    """Knows a secret, and the public keys rsa, ec and ed."""
    paths = [tmp_path / name for name in ("rsa.pem", "ec.pem", "ed.pem")]
    for path, key in zip(paths, (rsa_key(), ec_key(), ed_key()), strict=True):
        path.write_bytes(pem_of(key))
    return make_verifier(KeyPlaces(secret=SECRET.encode(), public_key_files=paths), clock)


@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(Signer(key=SECRET, algorithm="HS256", kid="secret"), id="HS256"),
        pytest.param(RSA, id="RS256"),
        pytest.param(Signer(key=rsa_key(), algorithm="PS256", kid="rsa"), id="PS256"),
        pytest.param(Signer(key=ec_key(), algorithm="ES256", kid="ec"), id="ES256"),
        pytest.param(Signer(key=ed_key(), algorithm="EdDSA", kid="ed"), id="EdDSA"),
    ],
)
async def test_a_token_of_each_algorithm_is_accepted(verifier: TokenVerifier, signer: Signer) -> None:
    """I2."""
    principal = await verifier.verify(signer.token())
    assert (principal.tenant_id, principal.user_id) == ("acme", "ada")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(RSA.token(exp=EPOCH_UNIX - 9.5), id="expired within the leeway"),
        pytest.param(RSA.token(nbf=EPOCH_UNIX + 10), id="valid soon, within the leeway"),
        pytest.param(RSA.token(iat=EPOCH_UNIX + 10), id="issued soon, within the leeway"),
        pytest.param(RSA.token(iat=ABSENT), id="without iat"),
        pytest.param(RSA.token(aud=["other", "musterd"]), id="several audiences"),
    ],
)
async def test_a_token_at_the_edge_is_accepted(verifier: TokenVerifier, token: str) -> None:
    """I2."""
    assert (await verifier.verify(token)).user_id == "ada"


@pytest.mark.parametrize(
    ("token", "reason", "words"),
    [
        pytest.param("", Reason.TOKEN_MISSING, "empty", id="empty"),
        pytest.param(RSA.token(exp=EPOCH_UNIX - 10), Reason.TOKEN_EXPIRED, "fresh", id="expired"),
        pytest.param(RSA.token(exp=ABSENT), Reason.TOKEN_INVALID, "'exp'", id="no exp"),
        pytest.param(RSA.token(exp=None), Reason.TOKEN_INVALID, "'exp'", id="exp null"),
        pytest.param(RSA.token(exp="1"), Reason.TOKEN_INVALID, "'exp'", id="exp text"),
        pytest.param(RSA.token(exp=True), Reason.TOKEN_INVALID, "'exp'", id="exp boolean"),
        pytest.param(RSA.token(exp=-1), Reason.TOKEN_INVALID, "'exp'", id="exp negative"),
        pytest.param(RSA.token(exp=10**300), Reason.TOKEN_INVALID, "'exp'", id="exp beyond all dates"),
        pytest.param(RSA.token(nbf=EPOCH_UNIX + 11), Reason.TOKEN_INVALID, "'nbf'", id="not yet valid"),
        pytest.param(RSA.token(nbf="now"), Reason.TOKEN_INVALID, "'nbf'", id="nbf text"),
        pytest.param(RSA.token(iat=EPOCH_UNIX + 11), Reason.TOKEN_INVALID, "'iat'", id="issued in the future"),
        pytest.param(RSA.token(iat=[1]), Reason.TOKEN_INVALID, "'iat'", id="iat list"),
        pytest.param(RSA.token(iss="https://evil.example.com/"), Reason.TOKEN_INVALID, "'iss'", id="wrong issuer"),
        pytest.param(RSA.token(iss=ABSENT), Reason.TOKEN_INVALID, "'iss'", id="no issuer"),
        pytest.param(RSA.token(aud="other"), Reason.TOKEN_INVALID, "'aud'", id="wrong audience"),
        pytest.param(RSA.token(aud="not-musterd"), Reason.TOKEN_INVALID, "'aud'", id="audience in part"),
        pytest.param(RSA.token(aud=["other"]), Reason.TOKEN_INVALID, "'aud'", id="wrong audiences"),
        pytest.param(RSA.token(aud=ABSENT), Reason.TOKEN_INVALID, "'aud'", id="no audience"),
        pytest.param(RSA.token(sub=ABSENT), Reason.TOKEN_INVALID, "'sub'", id="no user"),
        pytest.param(RSA.token(sub=""), Reason.TOKEN_INVALID, "'sub'", id="user empty"),
        pytest.param(RSA.token(sub=7), Reason.TOKEN_INVALID, "'sub'", id="user a number"),
        pytest.param(RSA.token(sub="ada\n"), Reason.TOKEN_INVALID, "'sub'", id="user with a line break"),
        pytest.param(RSA.token(sub="\ud800"), Reason.TOKEN_INVALID, "JSON", id="user with half a character"),
        pytest.param(RSA.token(sub="a" * 257), Reason.TOKEN_INVALID, "'sub'", id="user too long"),
        pytest.param(RSA.token(tenant_id=None), Reason.TOKEN_INVALID, "'tenant_id'", id="tenant null"),
        pytest.param(RSA.token(tenant_id=""), Reason.TOKEN_INVALID, "'tenant_id'", id="tenant empty"),
        pytest.param(RSA.token(tenant_id=["a"]), Reason.TOKEN_INVALID, "'tenant_id'", id="tenant a list"),
        pytest.param(RSA.token(session_id=1), Reason.TOKEN_INVALID, "'session_id'", id="session a number"),
        pytest.param(RSA.token(scope={"a": 1}), Reason.TOKEN_INVALID, "'scope'", id="scopes an object"),
        pytest.param(RSA.token(scope=["tasks:read", 1]), Reason.TOKEN_INVALID, "'scope'", id="scopes with a number"),
        pytest.param(RSA.token(scope="a\tb"), Reason.TOKEN_INVALID, "'scope'", id="scopes with a tab"),
        pytest.param(RSA.token({"crit": ["exp"]}), Reason.TOKEN_INVALID, "crit", id="critical extension"),
        pytest.param(RSA.token({"crit": []}), Reason.TOKEN_INVALID, "crit", id="crit empty"),
        pytest.param(RSA.token({"kid": "other"}), Reason.TOKEN_INVALID, "kid", id="unknown kid"),
        pytest.param(RSA.token({"kid": "ec"}), Reason.TOKEN_INVALID, "alg", id="kid of a key of another family"),
        pytest.param(RSA.token({"kid": ""}), Reason.TOKEN_INVALID, "kid", id="kid empty"),
        pytest.param(RSA.token({"kid": "k" * 257}), Reason.TOKEN_INVALID, "kid", id="kid too long"),
        pytest.param(
            Signer(key=rsa_key(), algorithm="RS256").token(), Reason.TOKEN_INVALID, "kid", id="no kid, several keys"
        ),
        pytest.param(
            forge({"alg": "RS256", "kid": 1}, GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "kid", id="kid a number"
        ),
        pytest.param(
            forge({"alg": "RS256", "kid": None}, GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "kid", id="kid null"
        ),
        pytest.param(
            Signer(key=rsa_key(1), algorithm="RS256", kid="rsa").token(),
            Reason.TOKEN_INVALID,
            "signature",
            id="signed with another key",
        ),
        pytest.param(
            Signer(key=rsa_key(), algorithm="RS512", kid="rsa").token(),
            Reason.TOKEN_INVALID,
            "alg",
            id="algorithm of the family, but not allowed",
        ),
        pytest.param(
            forge({"alg": "none", "kid": "rsa"}, GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "alg", id="alg none"
        ),
        pytest.param(
            forge({"alg": "None", "kid": "rsa"}, GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "alg", id="alg None"
        ),
        pytest.param(forge({"kid": "rsa"}, GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "alg", id="no alg"),
        pytest.param(
            forge({"alg": ["RS256"], "kid": "rsa"}, GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "alg", id="alg a list"
        ),
        pytest.param(forge(GOOD_HEADER, GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "signature", id="unsigned"),
        pytest.param(
            forge({"alg": "HS256", "kid": "rsa"}, GOOD_CLAIMS, RSA_PEM_AS_SECRET),
            Reason.TOKEN_INVALID,
            "alg",
            id="HS256 with the RSA public key as secret",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, GOOD_CLAIMS, RSA_PEM_AS_SECRET),
            Reason.TOKEN_INVALID,
            "signature",
            id="HS256 with the RSA public key as secret, by the secret's kid",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "rsa"}, GOOD_CLAIMS, RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "alg",
            id="HS256 with the secret, by the kid of another key",
        ),
        pytest.param(
            forge({"alg": "RS256", "kid": "secret"}, GOOD_CLAIMS, RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "alg",
            id="RS256 by the secret's kid",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, b"[]", RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "object",
            id="payload a list",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, b"{", RIGHT_SECRET), Reason.TOKEN_INVALID, "JSON", id="no payload"
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, b'{"exp": NaN}', RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "JSON",
            id="payload with NaN",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, b'{"x": 1e999}', RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "JSON",
            id="payload with a number beyond all floats",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, raw_claims().replace(b"??", b"\xed\xa0\x80"), RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "JSON",
            id="payload with half a character that is not escaped",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, raw_claims().decode().encode("utf-16"), RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "JSON",
            id="payload in UTF-16",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret"}, b"[" * 9000, RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "JSON",
            id="payload nested without end",
        ),
        pytest.param(
            forge({"alg": "HS256", "kid": "secret", "b64": False}, GOOD_CLAIMS, RIGHT_SECRET),
            Reason.TOKEN_INVALID,
            "malformed",
            id="payload not encoded",
        ),
        pytest.param(forge(b"[]", GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "malformed", id="header a list"),
        pytest.param(forge(b"[" * 9000, b"", unsigned), Reason.TOKEN_INVALID, "malformed", id="header nested"),
        pytest.param(forge(b"\xff", GOOD_CLAIMS, unsigned), Reason.TOKEN_INVALID, "malformed", id="header no text"),
        pytest.param("abc", Reason.TOKEN_INVALID, "malformed", id="one part"),
        pytest.param("a.b", Reason.TOKEN_INVALID, "malformed", id="two parts"),
        pytest.param("..", Reason.TOKEN_INVALID, "malformed", id="three empty parts"),
        pytest.param(RSA.token() + ".x", Reason.TOKEN_INVALID, "malformed", id="four parts"),
        pytest.param(RSA.token() + "!", Reason.TOKEN_INVALID, "malformed", id="no base64url"),
        pytest.param("é" + RSA.token(), Reason.TOKEN_INVALID, "malformed", id="no ascii"),
        pytest.param(RSA.token(big="x" * 16_384), Reason.TOKEN_INVALID, "16384 bytes", id="oversized"),
        pytest.param("." * 16_385, Reason.TOKEN_INVALID, "16384 bytes", id="oversized and malformed"),
    ],
)
async def test_a_bad_token_is_refused(verifier: TokenVerifier, token: str, reason: Reason, words: str) -> None:
    """I2 (refusal)."""
    error = await refusal(verifier.verify(token))
    assert error.reason is reason
    assert words in error.message


async def test_no_refusal_repeats_any_part_of_the_token(verifier: TokenVerifier) -> None:
    """I2."""
    marker = "hunter2"
    for token in (
        RSA.token(sub=7, note=marker),
        RSA.token({"kid": marker}),
        RSA.token(iss=marker),
        RSA.token(aud=marker),
        RSA.token({"crit": [marker]}),
        RSA.token(scope=[marker, 1]),
        forge({"alg": marker}, {}, unsigned),
        marker,
    ):
        assert marker not in repr(await refusal(verifier.verify(token)))


async def test_nothing_is_checked_of_issuer_and_audience_when_none_is_configured(clock: HandClock) -> None:
    """I2."""
    verifier = make_verifier(KeyPlaces(secret=SECRET.encode()), clock, issuer=None, audience=None)
    signer = Signer(key=SECRET, algorithm="HS256")
    assert (await verifier.verify(signer.token(iss="anyone", aud=["anything"]))).user_id == "ada"


async def test_a_token_that_starts_later_is_accepted_then(clock: HandClock) -> None:
    """I2."""
    verifier = make_verifier(KeyPlaces(secret=SECRET.encode()), clock)
    token = Signer(key=SECRET, algorithm="HS256").token(nbf=EPOCH_UNIX + 60)
    assert (await refusal(verifier.verify(token))).reason is Reason.TOKEN_INVALID
    clock.advance(50)
    assert (await verifier.verify(token)).user_id == "ada"


async def test_a_key_with_its_own_algorithm_takes_no_other_of_its_family(clock: HandClock, tmp_path: Path) -> None:
    """I2."""
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks_of(jwk_of(rsa_key(), "rsa", alg="PS256")))
    verifier = make_verifier(KeyPlaces(jwks_file=path), clock)
    await verifier.open()
    try:
        assert (await verifier.verify(Signer(key=rsa_key(), algorithm="PS256", kid="rsa").token())).user_id == "ada"
        assert (await refusal(verifier.verify(RSA.token()))).reason is Reason.TOKEN_INVALID
    finally:
        await verifier.close()


@pytest.mark.parametrize("algorithms", [frozenset(("none",)), frozenset(("RS256", "none")), frozenset[str]()])
def test_an_unknown_algorithm_cannot_be_allowed(algorithms: frozenset[str]) -> None:
    """I2."""
    with pytest.raises(ValueError, match="algorithm"):
        TokenRules(algorithms=algorithms)


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER  abc ", " Bearer abc"])
def test_the_token_is_read_from_the_metadata(value: str) -> None:
    """I1."""
    assert bearer_token([value]) == "abc"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], Reason.TOKEN_MISSING),
        ([""], Reason.TOKEN_MISSING),
        (["Bearer"], Reason.TOKEN_MISSING),
        (["Bearer  "], Reason.TOKEN_MISSING),
        (["Basic abc"], Reason.TOKEN_MISSING),
        (["abc"], Reason.TOKEN_MISSING),
        (["Bearer abc", "Bearer def"], Reason.TOKEN_INVALID),
    ],
)
def test_metadata_without_one_bearer_token_is_refused(values: list[str], reason: Reason) -> None:
    """I1 (refusal)."""
    with pytest.raises(MusterdError) as caught:
        bearer_token(values)
    assert caught.value.reason is reason
    assert "authorization" in caught.value.message


async def test_a_token_that_carries_its_own_key_is_refused(verifier: TokenVerifier) -> None:
    """I2 (refusal)."""
    attacker = rsa_key(1)
    headers = {"jwk": jwk_of(attacker, "rsa"), "jku": "https://evil.example.com/", "x5u": "https://evil.example.com/"}
    token = Signer(key=attacker, algorithm="RS256", kid="rsa").token(json.loads(json.dumps(headers)))
    assert (await refusal(verifier.verify(token))).reason is Reason.TOKEN_INVALID
