"""Who calls, and what they may do. Knows neither gRPC nor protobuf.

`TokenVerifier` turns a token into a Principal, with the keys of a `KeyRing`; `scopes` says what a Principal may call,
and `identity` for whom it acts and what it sees.
"""

from musterd.auth.claims import DEFAULT_TENANT, ClaimNames, TokenRules
from musterd.auth.identity import (
    acting_user,
    anonymous_principal,
    approver_of,
    may_be_open,
    session_owner,
    snapshot,
    viewer_of,
)
from musterd.auth.jwks import KeysNotLoadedError
from musterd.auth.jwt import TokenVerifier, bearer_token
from musterd.auth.key_ring import KeyPlaces, KeyRing, build_key_ring
from musterd.auth.keys import KeySource, VerificationKey
from musterd.auth.refresh import RefreshPolicy
from musterd.auth.scopes import (
    RPC_ACCESS,
    Access,
    Action,
    Gate,
    Resource,
    Scope,
    allows,
    authorize,
    authorize_component,
    is_public,
)

__all__ = [
    "DEFAULT_TENANT",
    "RPC_ACCESS",
    "Access",
    "Action",
    "ClaimNames",
    "Gate",
    "KeyPlaces",
    "KeyRing",
    "KeySource",
    "KeysNotLoadedError",
    "RefreshPolicy",
    "Resource",
    "Scope",
    "TokenRules",
    "TokenVerifier",
    "VerificationKey",
    "acting_user",
    "allows",
    "anonymous_principal",
    "approver_of",
    "authorize",
    "authorize_component",
    "bearer_token",
    "build_key_ring",
    "is_public",
    "may_be_open",
    "session_owner",
    "snapshot",
    "viewer_of",
]
