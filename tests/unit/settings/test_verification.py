"""From settings to a verifier."""

import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from musterd.domain.clock import SystemClock
from musterd.domain.errors import MusterdError, Reason
from musterd.settings import AuthSettings, SettingsError, build_token_verifier

SECRET = "a secret that is long enough: 32"


def token(**claims: Any) -> str:
    return jwt.encode({"exp": time.time() + 600, **claims}, SECRET, algorithm="HS256")


async def test_the_verifier_keeps_to_the_settings() -> None:
    """I2."""
    settings = AuthSettings.model_validate(
        {
            "mode": "jwt",
            "secret": SECRET,
            "issuer": "id",
            "audience": "musterd",
            "user_claim": "user.id",
            "tenant_claim": "org",
            "session_claim": "sid",
            "scopes_claim": "roles",
            "default_tenant": "main",
            "max_token_bytes": 1024,
        }
    )
    verifier = build_token_verifier(settings, SystemClock())
    good: dict[str, Any] = {"iss": "id", "aud": "musterd", "user": {"id": "ada"}, "sid": "s-1", "roles": ["tasks:read"]}
    principal = await verifier.verify(token(**good))
    assert (principal.tenant_id, principal.user_id, principal.session_id) == ("main", "ada", "s-1")
    assert principal.scopes == {"tasks:read"}
    assert (await verifier.verify(token(**good, org="acme"))).tenant_id == "acme"
    for changes in ({"iss": "other"}, {"aud": "other"}, {"org": 1}, {"big": "x" * 1024}):
        with pytest.raises(MusterdError) as caught:
            await verifier.verify(token(**good | changes))
        assert caught.value.reason is Reason.TOKEN_INVALID


async def test_a_required_tenant_and_no_leeway_are_kept_to() -> None:
    """I2."""
    settings = AuthSettings.model_validate(
        {"mode": "jwt", "secret": SECRET, "require_tenant": True, "leeway_seconds": 0, "verdict_cache_size": 0}
    )
    verifier = build_token_verifier(settings, SystemClock())
    with pytest.raises(MusterdError) as caught:
        await verifier.verify(token(sub="ada"))
    assert caught.value.reason is Reason.TOKEN_INVALID
    with pytest.raises(MusterdError) as caught:
        await verifier.verify(token(sub="ada", tenant_id="acme", exp=time.time() - 1))
    assert caught.value.reason is Reason.TOKEN_EXPIRED
    good = token(sub="ada", tenant_id="acme")
    assert (await verifier.verify(good)).tenant_id == "acme"
    assert verifier.cached(good) is None


async def test_a_key_that_cannot_be_used_is_a_problem_of_the_settings(empty_place: Path) -> None:
    """I2."""
    settings = AuthSettings(mode="jwt", public_key_files=(empty_place / "nowhere.pem",))
    with pytest.raises(SettingsError, match=r"nowhere\.pem"):
        build_token_verifier(settings, SystemClock())
