"""The token verifier that the settings ask for."""

from musterd.auth.claims import ClaimNames, TokenRules
from musterd.auth.jwt import TokenVerifier
from musterd.auth.key_ring import KeyPlaces, build_key_ring
from musterd.auth.refresh import RefreshPolicy
from musterd.domain.clock import Clock
from musterd.settings.auth import AuthSettings
from musterd.settings.load import SettingsError


def build_token_verifier(settings: AuthSettings, clock: Clock) -> TokenVerifier:
    """Return the verifier, not yet opened. Raises SettingsError when a configured key cannot be used."""
    places = KeyPlaces(
        secret=None if settings.secret is None else settings.secret.get_secret_value().encode(),
        public_key_files=settings.public_key_files,
        jwks_file=settings.jwks_file,
        jwks_url=settings.jwks_url,
        jwks_timeout_seconds=settings.jwks_timeout_seconds,
    )
    policy = RefreshPolicy(
        refresh_seconds=settings.jwks_refresh_seconds,
        backoff_seconds=settings.jwks_backoff_seconds,
        max_stale_seconds=settings.jwks_max_stale_seconds,
    )
    try:
        keys = build_key_ring(places, policy, clock)
    except (ValueError, OSError) as error:
        raise SettingsError([f"auth: {error}"]) from error
    return TokenVerifier(keys, _token_rules(settings), clock, verdict_cache_size=settings.verdict_cache_size)


def _token_rules(settings: AuthSettings) -> TokenRules:
    return TokenRules(
        algorithms=frozenset(settings.algorithms),
        issuer=settings.issuer,
        audience=settings.audience,
        leeway_seconds=settings.leeway_seconds,
        claim_names=ClaimNames(
            user=settings.user_claim,
            tenant=settings.tenant_claim,
            session=settings.session_claim,
            scopes=settings.scopes_claim,
        ),
        default_tenant=settings.default_tenant,
        require_tenant=settings.require_tenant,
        max_token_bytes=settings.max_token_bytes,
    )
