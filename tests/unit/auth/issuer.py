"""Makes tokens, good ones and bad ones, with real keys."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tests.unit.auth.hand_clock import EPOCH_UNIX

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

SECRET = "a secret that is long enough: 32"
ISSUER = "https://id.example.com/"
AUDIENCE = "musterd"
GOOD_CLAIMS: Mapping[str, Any] = {
    "sub": "ada",
    "tenant_id": "acme",
    "scope": "agents:run tasks:read",
    "iss": ISSUER,
    "aud": AUDIENCE,
    "iat": EPOCH_UNIX,
    "exp": EPOCH_UNIX + 600,
}
ABSENT = object()


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> RSAPrivateKey:
    """Return one RSA key for each number: making one takes a while."""
    return generate_rsa_key(65537, bits)


@cache
def ec_key(number: int = 0) -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


@cache
def ed_key(number: int = 0) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def pem_of(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk_of(key: PrivateKey, kid: str | None = None, **members: Any) -> dict[str, Any]:
    public: dict[str, Any]
    match key:
        case RSAPrivateKey():
            public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case EllipticCurvePrivateKey():
            public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case Ed25519PrivateKey():
            public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    public.pop("key_ops", None)
    return public | ({} if kid is None else {"kid": kid}) | members


def jwks_of(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs tokens with one key."""

    key: PrivateKey | str
    algorithm: str
    kid: str | None = None

    def token(self, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Return a token with the good claims, changed by those given: ABSENT leaves one out."""
        payload = {name: value for name, value in {**GOOD_CLAIMS, **claims}.items() if value is not ABSENT}
        all_headers = ({} if self.kid is None else {"kid": self.kid}) | dict(headers or {})
        encoded = json.dumps(payload).encode()
        return jwt.PyJWS().encode(encoded, self.key, algorithm=self.algorithm, headers=all_headers)


def forge(header: object, payload: object, sign: Callable[[bytes], bytes]) -> str:
    """Return a token of any header and payload; bytes are taken as they are."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signed = b".".join(_encode(part) for part in parts)
    return (signed + b"." + _encode(sign(signed))).decode()


def hmac_sha256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.digest(secret, message, sha256)


def unsigned(_message: bytes) -> bytes:
    return b""


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
