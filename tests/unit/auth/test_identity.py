"""Whom a call acts for, and what it may see."""

from datetime import UTC, datetime

import pytest

from musterd.auth import acting_user, anonymous_principal, may_be_open, session_owner, snapshot, viewer_of
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.principal import JsonValue, Principal, Viewer

ADA = Principal(tenant_id="acme", user_id="ada", scopes=frozenset(("agents:run",)))
ADA_IN_A_SESSION = Principal(tenant_id="acme", user_id="ada", session_id="s-1")
DEPUTY = Principal(tenant_id="acme", user_id="ada", scopes=frozenset(("musterd:impersonate",)))
DEPUTY_IN_A_SESSION = Principal(
    tenant_id="acme", user_id="ada", session_id="s-1", scopes=frozenset(("musterd:impersonate",))
)
ADMIN = Principal(tenant_id="acme", user_id="root", scopes=frozenset(("musterd:admin",)))


@pytest.mark.parametrize(
    ("principal", "user_id", "session_id", "acting"),
    [
        pytest.param(ADA, "", "", ("ada", ""), id="nothing named"),
        pytest.param(ADA, "ada", "s-2", ("ada", "s-2"), id="itself named, session free"),
        pytest.param(ADA_IN_A_SESSION, "", "", ("ada", "s-1"), id="session of the token"),
        pytest.param(ADA_IN_A_SESSION, "ada", "s-1", ("ada", "s-1"), id="session named again"),
        pytest.param(DEPUTY, "grace", "s-2", ("grace", "s-2"), id="for another user"),
        pytest.param(DEPUTY, "", "", ("ada", ""), id="deputy for itself"),
        pytest.param(anonymous_principal(), "grace", "s-2", ("grace", "s-2"), id="taken as given without auth"),
        pytest.param(anonymous_principal(), "", "", ("", ""), id="nobody without auth"),
    ],
)
def test_a_request_acts_for(principal: Principal, user_id: str, session_id: str, acting: tuple[str, str]) -> None:
    """I3."""
    assert acting_user(principal, user_id, session_id) == acting


@pytest.mark.parametrize(
    ("principal", "user_id", "session_id", "field"),
    [
        pytest.param(ADA, "grace", "", "user_id", id="another user"),
        pytest.param(ADA, "Ada", "", "user_id", id="another spelling"),
        pytest.param(ADMIN, "grace", "", "user_id", id="an administrator, who may see but not act for others"),
        pytest.param(ADA_IN_A_SESSION, "", "s-2", "session_id", id="another session"),
        pytest.param(DEPUTY_IN_A_SESSION, "grace", "s-2", "session_id", id="a deputy in another session"),
    ],
)
def test_a_request_that_contradicts_the_token_is_refused(
    principal: Principal, user_id: str, session_id: str, field: str
) -> None:
    """I3 (refusal)."""
    with pytest.raises(MusterdError) as caught:
        acting_user(principal, user_id, session_id)
    assert caught.value.reason is Reason.IDENTITY_MISMATCH
    assert caught.value.message.startswith(f"{field}:")
    assert caught.value.metadata == {"field": field}


@pytest.mark.parametrize(
    ("principal", "user_id", "session_id", "owner"),
    [
        pytest.param(ADA, "", "s-2", ("ada", "s-2"), id="its own"),
        pytest.param(DEPUTY_IN_A_SESSION, "ada", "", ("ada", "s-1"), id="itself named, session of the token"),
        pytest.param(anonymous_principal(), "grace", "s-2", ("grace", "s-2"), id="taken as given without auth"),
        pytest.param(anonymous_principal(), "", "", ("", ""), id="nobody without auth"),
    ],
)
def test_sessions_are_of(principal: Principal, user_id: str, session_id: str, owner: tuple[str, str]) -> None:
    """I3, N1."""
    assert session_owner(principal, user_id, session_id) == owner


@pytest.mark.parametrize(
    ("principal", "user_id", "session_id", "field"),
    [
        pytest.param(ADA, "grace", "", "user_id", id="another user"),
        pytest.param(ADMIN, "grace", "", "user_id", id="an administrator"),
        pytest.param(DEPUTY, "grace", "", "user_id", id="a deputy, who may act for others but not read"),
        pytest.param(ADA_IN_A_SESSION, "", "s-2", "session_id", id="another session"),
    ],
)
def test_nobody_names_the_sessions_of_others(principal: Principal, user_id: str, session_id: str, field: str) -> None:
    """I3, N1 (refusal)."""
    with pytest.raises(MusterdError) as caught:
        session_owner(principal, user_id, session_id)
    assert (caught.value.reason, caught.value.metadata) == (Reason.IDENTITY_MISMATCH, {"field": field})


def test_a_caller_sees_its_own_and_an_administrator_its_tenant() -> None:
    """I5."""
    assert viewer_of(ADA) == Viewer(tenant_id="acme", user_id="ada")
    assert viewer_of(DEPUTY) == Viewer(tenant_id="acme", user_id="ada")
    assert viewer_of(ADMIN) == Viewer(tenant_id="acme", user_id=None)
    assert viewer_of(anonymous_principal()) == Viewer(tenant_id="default", user_id=None)


def test_a_snapshot_holds_the_caller_and_shares_nothing_with_it() -> None:
    """I7."""
    roles: list[JsonValue] = ["reader"]
    claims: dict[str, JsonValue] = {"realm": {"roles": roles}}
    principal = Principal(tenant_id="acme", user_id="ada", scopes=frozenset(("agents:run",)), claims=claims)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    identity = snapshot(principal, "grace", now)
    roles.append("owner")
    assert (identity.tenant_id, identity.user_id, identity.captured_at) == ("acme", "grace", now)
    assert identity.scopes == {"agents:run"}
    assert identity.claims == {"realm": {"roles": ["reader"]}}


def test_without_authentication_the_caller_is_an_administrator_of_one_tenant() -> None:
    """I3."""
    principal = anonymous_principal()
    assert principal.is_admin
    assert principal.may_name_any_user
    assert (principal.tenant_id, principal.user_id, principal.expires_at) == ("default", "", None)


@pytest.mark.parametrize(
    ("listen", "unix_socket_mode", "is_safe"),
    [
        ("127.0.0.1:50051", None, True),
        ("127.9.9.9:0", None, True),
        ("[::1]:50051", None, True),
        ("localhost:50051", None, True),
        ("LOCALHOST:50051", None, True),
        ("", 0o600, True),
        ("127.0.0.1:50051", 0o600, True),
        ("", 0o660, False),
        ("", 0o666, False),
        ("", 0o400, False),
        ("127.0.0.1:50051", 0o660, False),
        ("0.0.0.0:50051", None, False),
        ("0.0.0.0:50051", 0o600, False),
        ("[::]:50051", None, False),
        (":50051", None, False),
        ("10.0.0.1:50051", None, False),
        ("[::ffff:10.0.0.1]:50051", None, False),
        ("example.com:50051", None, False),
        ("localhost.example.com:50051", None, False),
        ("*:50051", None, False),
    ],
)
def test_authentication_may_be_off_where_only_the_owner_of_the_machine_can_call(
    listen: str, unix_socket_mode: int | None, is_safe: bool
) -> None:
    """I3."""
    assert may_be_open(listen, unix_socket_mode) is is_safe
