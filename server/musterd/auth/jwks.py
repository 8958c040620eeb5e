"""JSON Web Key Sets (RFC 7517): which keys of a document verify tokens, and with which algorithms."""

import json
from collections.abc import Mapping
from typing import Any, cast

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from musterd.auth.keys import VerificationKey, public_key

JWKS_MAX_BYTES = 256 * 1024
JWKS_MAX_KEYS = 256
KID_MAX_CHARS = 256

_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")


class KeysNotLoadedError(Exception):
    """Keys could not be loaded; the text is for the log."""


def parse_jwks(document: bytes) -> list[VerificationKey]:
    """Return the usable keys of a key set. Raises KeysNotLoadedError when it is none.

    Keys that are not for verifying signatures, have no id, are weak or of an unknown kind are left out, as the RFC
    asks. So are symmetric ones: a secret is configured, not published.
    """
    if len(document) > JWKS_MAX_BYTES:
        raise KeysNotLoadedError(f"the key set is larger than {JWKS_MAX_BYTES} bytes")
    try:
        parsed: Any = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise KeysNotLoadedError("the key set is not JSON") from error
    members: Any = cast("dict[str, Any]", parsed).get("keys") if isinstance(parsed, dict) else None
    if not isinstance(members, list):
        raise KeysNotLoadedError('the key set is no JSON object with a list "keys"')
    entries = cast("list[Any]", members)
    if len(entries) > JWKS_MAX_KEYS:
        raise KeysNotLoadedError(f"the key set holds more than {JWKS_MAX_KEYS} keys")
    keys = (_parse_key(cast("dict[str, Any]", entry)) for entry in entries if isinstance(entry, dict))
    return [key for key in keys if key is not None]


def _parse_key(jwk: Mapping[str, Any]) -> VerificationKey | None:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= KID_MAX_CHARS or not _is_for_verifying(jwk):
        return None
    if jwk.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        # Without the private members, that a careless issuer may publish, the result is always a public key.
        parsed = PyJWK({name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk})
        key = public_key(kid, parsed.key)
    except (PyJWTError, ValueError, TypeError):
        return None
    return _narrow(key, jwk.get("alg"))


def _is_for_verifying(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _narrow(key: VerificationKey, algorithm: object) -> VerificationKey | None:
    if algorithm is None:
        return key
    if not isinstance(algorithm, str) or algorithm not in key.algorithms:
        return None
    return VerificationKey(
        kid=key.kid, algorithms=frozenset((algorithm,)), fingerprint=key.fingerprint, material=key.material
    )
