"""Whose a token is: from claims to a Principal."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.auth.hand_clock import EPOCH_UNIX, HandClock
from tests.unit.auth.issuer import ABSENT, SECRET, Signer
from tests.unit.auth.verifiers import make_verifier, refusal

from musterd.auth import ClaimNames, KeyPlaces
from musterd.domain.errors import Reason

PLACES = KeyPlaces(secret=SECRET.encode())
SIGNER = Signer(key=SECRET, algorithm="HS256")


async def test_a_principal_holds_what_the_token_says(clock: HandClock) -> None:
    """I1."""
    principal = await make_verifier(PLACES, clock).verify(SIGNER.token(session_id="s-1", tier="gold"))
    assert principal.tenant_id == "acme"
    assert principal.user_id == "ada"
    assert principal.session_id == "s-1"
    assert principal.scopes == {"agents:run", "tasks:read"}
    assert principal.claims["tier"] == "gold"
    assert principal.expires_at == datetime.fromtimestamp(EPOCH_UNIX + 600, UTC)
    assert not principal.may_name_any_user


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("", set[str]()),
        ("tasks:read", {"tasks:read"}),
        (" tasks:read  agents:run ", {"tasks:read", "agents:run"}),
        ([], set[str]()),
        (["tasks:read", "agents:*:run"], {"tasks:read", "agents:*:run"}),
        (ABSENT, set[str]()),
    ],
)
async def test_scopes_come_as_text_or_list(clock: HandClock, scope: object, scopes: set[str]) -> None:
    """I2."""
    assert (await make_verifier(PLACES, clock).verify(SIGNER.token(scope=scope))).scopes == scopes


async def test_claim_names_can_be_configured_as_paths(clock: HandClock) -> None:
    """I2."""
    names = ClaimNames(user="user.id", tenant="https://example.com/tenant", session="ctx.session", scopes="realm.roles")
    claims: dict[str, Any] = {
        "user": {"id": "grace"},
        "https://example.com/tenant": "navy",
        "ctx": {"session": "s-2"},
        "realm": {"roles": ["tasks:read"]},
    }
    principal = await make_verifier(PLACES, clock, claim_names=names).verify(SIGNER.token(**claims))
    assert (principal.user_id, principal.tenant_id, principal.session_id) == ("grace", "navy", "s-2")
    assert principal.scopes == {"tasks:read"}


@pytest.mark.parametrize("claims", [{"user": "grace"}, {"user": {"name": "grace"}}, {"user": ["id"]}])
async def test_a_path_that_leads_nowhere_is_a_missing_claim(clock: HandClock, claims: dict[str, Any]) -> None:
    """I2."""
    verifier = make_verifier(PLACES, clock, claim_names=ClaimNames(user="user.id"))
    error = await refusal(verifier.verify(SIGNER.token(**claims)))
    assert error.reason is Reason.TOKEN_INVALID
    assert "'user.id'" in error.message


async def test_a_token_without_a_tenant_belongs_to_the_default_one(clock: HandClock) -> None:
    """I2."""
    verifier = make_verifier(PLACES, clock, default_tenant="main")
    assert (await verifier.verify(SIGNER.token(tenant_id=ABSENT))).tenant_id == "main"


async def test_a_token_without_a_tenant_is_refused_when_one_is_required(clock: HandClock) -> None:
    """I2."""
    verifier = make_verifier(PLACES, clock, require_tenant=True)
    error = await refusal(verifier.verify(SIGNER.token(tenant_id=ABSENT)))
    assert error.reason is Reason.TOKEN_INVALID
    assert "'tenant_id'" in error.message
