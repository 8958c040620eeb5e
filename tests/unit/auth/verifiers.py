"""Makes verifiers for tests, and says what a call was refused with."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.auth.hand_clock import HandClock
from tests.unit.auth.issuer import AUDIENCE, ISSUER

from musterd.auth import KeyPlaces, RefreshPolicy, TokenRules, TokenVerifier, build_key_ring
from musterd.domain.errors import MusterdError

RULES = TokenRules(
    algorithms=frozenset(("HS256", "RS256", "PS256", "ES256", "EdDSA")), issuer=ISSUER, audience=AUDIENCE
)
POLICY = RefreshPolicy(refresh_seconds=300, backoff_seconds=30, max_stale_seconds=3600)


def make_verifier(places: KeyPlaces, clock: HandClock, *, verdict_cache_size: int = 100, **rules: Any) -> TokenVerifier:
    """Return a verifier on the clock's wall time; `rules` change RULES."""
    ring = build_key_ring(places, POLICY, clock)
    return TokenVerifier(ring, replace(RULES, **rules), clock, verdict_cache_size=verdict_cache_size)


async def refusal(call: Awaitable[object]) -> MusterdError:
    """Return the error that the call ends with."""
    with pytest.raises(MusterdError) as caught:
        await call
    return caught.value
