"""Verifies tokens: JWTs (RFC 7519) signed with a key that this server trusts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

from jwt import PyJWS
from jwt.exceptions import InvalidKeyError, InvalidSignatureError, PyJWTError
from jwt.utils import base64url_decode

from musterd.auth.claims import TokenRules, parse_claims, read_principal
from musterd.auth.jwks import KID_MAX_CHARS
from musterd.auth.keys import KeySource, VerificationKey
from musterd.auth.refusals import token_invalid, token_missing
from musterd.auth.verdicts import Verdict, VerdictCache
from musterd.domain.clock import Clock
from musterd.domain.principal import Principal

_SEGMENTS = 3
_MALFORMED = "the token is malformed: it must be a signed JWT of three parts in base64url"


def bearer_token(authorization: Sequence[str]) -> str:
    """Return the token of a call's `authorization` metadata. Raises TOKEN_MISSING or TOKEN_INVALID."""
    if not authorization:
        raise token_missing("send a token in the metadata: authorization: Bearer <token>")
    if len(authorization) > 1:
        raise token_invalid("send the metadata authorization once: it came several times")
    scheme, _, token = authorization[0].strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise token_missing("the metadata authorization holds no bearer token; send: authorization: Bearer <token>")
    return token.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    algorithm: str
    kid: str | None


class TokenVerifier:
    """Tells whose a token is."""

    def __init__(
        self,
        keys: KeySource,
        rules: TokenRules,
        clock: Clock,
        *,
        verdict_cache_size: int = 10_000,
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._verdicts = VerdictCache(verdict_cache_size)
        self._revision = keys.revision
        self._clock = clock
        self._jws = PyJWS(algorithms=sorted(rules.algorithms), options={"enforce_minimum_key_length": True})

    async def open(self) -> None:
        """Load the keys and keep them fresh until `close`."""
        await self._keys.open()

    async def close(self) -> None:
        """Stop what `open` started."""
        await self._keys.close()

    def cached(self, token: str) -> Principal | None:
        """Return whose token it is when that was found out before and still holds. Costs about two microseconds."""
        revision = self._keys.revision
        if revision != self._revision:
            self._revision = revision
            self._verdicts.keep(self._keys.holds)
        if len(token) > self._rules.max_token_bytes or not token.isascii():
            return None
        return self._verdicts.get(sha256(token.encode()).digest(), self._clock.now())

    async def verify(self, token: str) -> Principal:
        """Return whose token it is.

        Raises TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, or KEYS_UNAVAILABLE when that cannot be found out now.
        """
        if not token:
            raise token_missing("the token is empty")
        principal = self.cached(token)
        if principal is not None:
            return principal
        header = self._read_header(token)
        candidates = await self._keys.find(header.kid, header.algorithm)
        key, payload = self._check_signature(token, header, candidates)
        now = self._clock.now()
        principal = read_principal(parse_claims(payload), self._rules, now.timestamp())
        self._remember(token, principal, key, now)
        return principal

    def _read_header(self, token: str) -> _Header:
        if len(token) > self._rules.max_token_bytes:
            raise token_invalid(f"the token is larger than {self._rules.max_token_bytes} bytes; put less into it")
        segments = token.split(".")
        if not token.isascii() or len(segments) != _SEGMENTS:
            raise token_invalid(_MALFORMED)
        try:
            header: Any = json.loads(base64url_decode(segments[0]))
        except (ValueError, RecursionError) as error:
            raise token_invalid(_MALFORMED) from error
        if not isinstance(header, dict):
            raise token_invalid(_MALFORMED)
        return self._check_header(cast("dict[str, Any]", header))

    def _check_header(self, header: dict[str, Any]) -> _Header:
        if "crit" in header:
            raise token_invalid("the token's header has critical extensions (crit), and this server knows none")
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            allowed = ", ".join(sorted(self._rules.algorithms))
            raise token_invalid(f"the token's algorithm (alg) is not allowed here; sign with one of: {allowed}")
        kid = header.get("kid")
        if "kid" in header and not (isinstance(kid, str) and 0 < len(kid) <= KID_MAX_CHARS):
            raise token_invalid(f"the token's key id (kid) must be a string of 1 to {KID_MAX_CHARS} characters")
        return _Header(algorithm=algorithm, kid=kid)

    def _check_signature(
        self, token: str, header: _Header, candidates: Sequence[VerificationKey]
    ) -> tuple[VerificationKey, bytes]:
        if not candidates and header.kid is None:
            raise token_invalid("the token names no key (kid), and none can be told without; put kid into its header")
        if not candidates:
            raise token_invalid("no key of this server has the token's key id (kid) and takes its algorithm (alg)")
        for key in candidates:
            try:
                decoded = self._jws.decode_complete(token, cast("Any", key.material), algorithms=[header.algorithm])
            except (InvalidSignatureError, InvalidKeyError):
                continue
            except (PyJWTError, ValueError) as error:
                raise token_invalid(_MALFORMED) from error
            return key, decoded["payload"]
        raise token_invalid("the token's signature is wrong for its key")

    def _remember(self, token: str, principal: Principal, key: VerificationKey, now: datetime) -> None:
        expires_at = principal.expires_at
        if expires_at is None or expires_at <= now:
            return
        verdict = Verdict(principal=principal, expires_at=expires_at, key=key)
        self._verdicts.put(sha256(token.encode()).digest(), verdict)
