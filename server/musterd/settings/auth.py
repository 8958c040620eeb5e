"""The section `auth`: who may call, and how tokens are verified."""

from collections.abc import Mapping
from typing import Any, Literal, Self, cast

from pydantic import Field, field_validator, model_validator

from musterd.auth.claims import DEFAULT_TENANT
from musterd.auth.jwks_url import check_jwks_url
from musterd.auth.keys import ASYMMETRIC_ALGORITHMS, SECRET_MIN_BYTES, SYMMETRIC_ALGORITHMS
from musterd.settings.section import OptionalPath, OptionalSecret, OptionalText, PathList, Section, TextList

_PUBLIC_KEY_ALGORITHMS = ("RS256", "ES256", "EdDSA")
_SECRET_ALGORITHMS = ("HS256",)
_PUBLIC_KEY_PLACES = ("public_key_files", "jwks_file", "jwks_url")


class AuthSettings(Section):
    """Who may call, and how tokens are verified."""

    mode: Literal["off", "jwt"] = Field(
        default="off", description="off: every caller is an administrator; jwt: every call needs a token."
    )
    secret: OptionalSecret = Field(
        default=None,
        description="Shared secret of tokens signed with HS256, HS384 or HS512: 32, 48 or 64 bytes or more.",
    )
    public_key_files: PathList = Field(
        default=(), description="PEM files with a public key each; a token's kid is the file's name without suffix."
    )
    jwks_file: OptionalPath = Field(
        default=None, description="File with a JSON Web Key Set; read again when it changes."
    )
    jwks_url: OptionalText = Field(default=None, description="URL of a JSON Web Key Set: https, or http on loopback.")
    algorithms: TextList = Field(
        default=_PUBLIC_KEY_ALGORITHMS,
        min_length=1,
        description="Algorithms that tokens may be signed with; with a secret the default has HS256 too, or alone.",
    )
    issuer: OptionalText = Field(default=None, description="What the claim iss must be; not checked when not set.")
    audience: OptionalText = Field(default=None, description="What the claim aud must hold; not checked when not set.")
    leeway_seconds: float = Field(
        default=10, ge=0, le=300, description="How far the clocks of issuer and server may be apart."
    )
    user_claim: str = Field(default="sub", min_length=1, description="Claim that names the user; dots make a path.")
    tenant_claim: str = Field(default="tenant_id", min_length=1, description="Claim that names the tenant.")
    session_claim: str = Field(default="session_id", min_length=1, description="Claim that fixes a session, if any.")
    scopes_claim: str = Field(
        default="scope", min_length=1, description="Claim with the scopes: parted by spaces, or a list."
    )
    default_tenant: str = Field(
        default=DEFAULT_TENANT, min_length=1, max_length=256, description="Tenant of a token that names none."
    )
    require_tenant: bool = Field(default=False, description="Refuses a token that names no tenant.")
    verdict_cache_size: int = Field(
        default=10_000, ge=0, le=1_000_000, description="Most tokens whose verdict is remembered; 0 for none."
    )
    max_token_bytes: int = Field(default=16_384, ge=1024, le=1_048_576, description="Largest token that is looked at.")
    snapshot_max_age_seconds: float = Field(
        default=86_400,
        ge=60,
        le=31_536_000,
        description="Age at which a stored identity must be renewed before its task is resumed.",
    )
    jwks_refresh_seconds: float = Field(
        default=300, ge=10, le=86_400, description="Time between loads of the key set in the background."
    )
    jwks_backoff_seconds: float = Field(
        default=30, ge=1, le=3600, description="Least time between loads after a failure, or for unknown key ids."
    )
    jwks_timeout_seconds: float = Field(default=5, ge=0.1, le=60, description="Longest time that a load may take.")
    jwks_max_stale_seconds: float = Field(
        default=86_400, ge=60, le=2_592_000, description="How long keys count that could not be loaded again."
    )

    @model_validator(mode="before")
    @classmethod
    def _choose_algorithms(cls, values: object) -> object:
        if not isinstance(values, Mapping):
            return values
        given = cast("Mapping[str, Any]", values)
        if "algorithms" in given or not given.get("secret"):
            return given
        has_public_keys = any(given.get(place) for place in _PUBLIC_KEY_PLACES)
        return {**given, "algorithms": (*(_PUBLIC_KEY_ALGORITHMS if has_public_keys else ()), *_SECRET_ALGORITHMS)}

    @field_validator("algorithms")
    @classmethod
    def _check_algorithms(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        known = SYMMETRIC_ALGORITHMS | ASYMMETRIC_ALGORITHMS
        unknown = [algorithm for algorithm in algorithms if algorithm not in known]
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return algorithms

    @field_validator("jwks_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        return None if url is None else check_jwks_url(url)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.mode == "jwt" and not (self.secret or self.public_key_files or self.jwks_file or self.jwks_url):
            raise ValueError("mode jwt needs keys: set secret, public_key_files, jwks_file or jwks_url")
        self._check_secret()
        if self.jwks_max_stale_seconds <= self.jwks_refresh_seconds:
            raise ValueError("jwks_max_stale_seconds must be more than jwks_refresh_seconds, or keys die between loads")
        return self

    def _check_secret(self) -> None:
        symmetric = [algorithm for algorithm in self.algorithms if algorithm in SYMMETRIC_ALGORITHMS]
        if symmetric and self.secret is None:
            raise ValueError(f"algorithms has {', '.join(symmetric)}, which needs a secret")
        if self.secret is None:
            return
        if not symmetric:
            raise ValueError("secret is set, but algorithms has none that uses it: add HS256, or leave algorithms out")
        size = len(self.secret.get_secret_value().encode())
        for algorithm in symmetric:
            if size < SECRET_MIN_BYTES[algorithm]:
                raise ValueError(f"secret has {size} bytes; {algorithm} needs at least {SECRET_MIN_BYTES[algorithm]}")
