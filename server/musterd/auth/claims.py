"""What the claims of a verified token say: whether it counts now, and whose it is."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

from musterd.auth.keys import ASYMMETRIC_ALGORITHMS, SYMMETRIC_ALGORITHMS
from musterd.auth.refusals import token_expired, token_invalid, wrong_claim
from musterd.domain.principal import JsonValue, Principal

DEFAULT_TENANT = "default"
IDENTIFIER_MAX_CHARS = 256

_LATEST_UNIX = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNames:
    """Which claims say what. A name with dots that is no claim by itself is a path: realm_access.roles."""

    user: str = "sub"
    tenant: str = "tenant_id"
    session: str = "session_id"
    scopes: str = "scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a token must be like.

    `algorithms` are those that are allowed; `issuer` and `audience` are checked when they are set. A token without a
    tenant belongs to `default_tenant`, or is refused with `require_tenant`. Raises ValueError for unknown algorithms.
    """

    algorithms: frozenset[str]
    issuer: str | None = None
    audience: str | None = None
    leeway_seconds: float = 10.0
    claim_names: ClaimNames = ClaimNames()
    default_tenant: str = DEFAULT_TENANT
    require_tenant: bool = False
    max_token_bytes: int = 16_384

    def __post_init__(self) -> None:
        unknown = self.algorithms - SYMMETRIC_ALGORITHMS - ASYMMETRIC_ALGORITHMS
        if unknown or not self.algorithms:
            raise ValueError(f"no such algorithm: {', '.join(sorted(unknown)) or 'none is given'}")


def parse_claims(payload: bytes) -> dict[str, JsonValue]:
    """Return the claims of a payload. Raises TOKEN_INVALID when it is no JSON object."""
    try:
        # From bytes it would take other encodings too, and halves of surrogate pairs unescaped.
        text = payload.decode()
        claims: Any = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
        if "\\u" in text:
            # Half of a surrogate pair can be escaped in JSON, and be stored nowhere.
            json.dumps(claims, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise token_invalid("the token's payload is not JSON") from error
    if not isinstance(claims, dict):
        raise token_invalid("the token's payload is no JSON object")
    return cast("dict[str, JsonValue]", claims)


def read_principal(claims: dict[str, JsonValue], rules: TokenRules, now_unix: float) -> Principal:
    """Return whose token it is. Raises TOKEN_EXPIRED, or TOKEN_INVALID naming the claim."""
    expires_at_unix = _check_times(claims, rules.leeway_seconds, now_unix)
    _check_origin(claims, rules)
    names = rules.claim_names
    user_id = _identifier(claims, names.user)
    if user_id is None:
        raise wrong_claim(names.user, "present: it names the user")
    tenant_id = _identifier(claims, names.tenant)
    if tenant_id is None and rules.require_tenant:
        raise wrong_claim(names.tenant, "present: it names the tenant")
    return Principal(
        tenant_id=tenant_id or rules.default_tenant,
        user_id=user_id,
        session_id=_identifier(claims, names.session) or "",
        scopes=_scopes(claims, names.scopes),
        claims=claims,
        expires_at=datetime.fromtimestamp(expires_at_unix, UTC),
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} has no JSON form again")
    return value


def _check_times(claims: Mapping[str, JsonValue], leeway_seconds: float, now_unix: float) -> float:
    expires_at_unix = _time(claims, "exp")
    if expires_at_unix is None:
        raise wrong_claim("exp", "present: a token must end some time")
    if now_unix >= expires_at_unix + leeway_seconds:
        raise token_expired("the token has expired; send a fresh one")
    for name in ("nbf", "iat"):
        starts_at_unix = _time(claims, name)
        if starts_at_unix is not None and starts_at_unix > now_unix + leeway_seconds:
            raise wrong_claim(name, "in the past: the token is not valid yet, or a clock is wrong")
    return expires_at_unix


def _time(claims: Mapping[str, JsonValue], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_UNIX:
        raise wrong_claim(name, "a number of seconds since 1970")
    return float(value)


def _check_origin(claims: Mapping[str, JsonValue], rules: TokenRules) -> None:
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise wrong_claim("iss", "the issuer that this server trusts")
    if rules.audience is None:
        return
    audience = claims.get("aud")
    if rules.audience not in (audience if isinstance(audience, list) else (audience,)):
        raise wrong_claim("aud", "this server's audience, or a list that holds it")


def _find(claims: Mapping[str, JsonValue], name: str) -> tuple[JsonValue] | None:
    """Return the claim's value in a box, as null is a value too; None when there is no such claim."""
    if name in claims:
        return (claims[name],)
    found: JsonValue = dict(claims)
    for step in name.split("."):
        if not isinstance(found, dict) or step not in found:
            return None
        found = found[step]
    return (found,)


def _identifier(claims: Mapping[str, JsonValue], name: str) -> str | None:
    found = _find(claims, name)
    if found is None:
        return None
    match found:
        case (str(text),) if 0 < len(text) <= IDENTIFIER_MAX_CHARS and text.isprintable():
            return text
        case _:
            raise wrong_claim(name, f"a string of 1 to {IDENTIFIER_MAX_CHARS} printable characters")


def _scopes(claims: Mapping[str, JsonValue], name: str) -> frozenset[str]:
    found = _find(claims, name)
    if found is None:
        return frozenset()
    match found:
        case (str(text),):
            scopes: Sequence[JsonValue] = text.split(" ")
        case (list(items),):
            scopes = items
        case _:
            raise wrong_claim(name, "a string of scopes parted by spaces, or a list of strings")
    if not all(isinstance(scope, str) and scope.isprintable() for scope in scopes):
        raise wrong_claim(name, "made of printable strings")
    return frozenset(scope for scope in scopes if isinstance(scope, str) and scope)
