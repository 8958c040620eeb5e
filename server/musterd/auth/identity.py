"""Whom a call acts for, and what it may see."""

from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address

from musterd.auth.claims import DEFAULT_TENANT
from musterd.auth.scopes import Action, Resource, allows
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.principal import ADMIN_SCOPE, Identity, Principal, Viewer

OWNER_ONLY_MODE = 0o600


def acting_user(principal: Principal, requested_user_id: str, requested_session_id: str) -> tuple[str, str]:
    """Return the user and session that a request acts for; what it leaves empty comes from the token.

    Raises IDENTITY_MISMATCH when it contradicts the token. Only who may impersonate can name another user; a session
    that the token fixes holds for them too.
    """
    if requested_user_id not in ("", principal.user_id) and not principal.may_impersonate:
        raise _mismatch("user_id", "it names another user than your token; leave it empty")
    if principal.session_id and requested_session_id not in ("", principal.session_id):
        raise _mismatch("session_id", "it names another session than your token; leave it empty")
    return requested_user_id or principal.user_id, requested_session_id or principal.session_id


def session_owner(principal: Principal, requested_user_id: str, requested_session_id: str) -> tuple[str, str]:
    """Return whose sessions a request is about, and which one: nobody sees those of others who is known by a token.

    Raises IDENTITY_MISMATCH when the request contradicts the token, also for who may impersonate.
    """
    if requested_user_id not in ("", principal.user_id) and not principal.may_name_any_user:
        raise _mismatch("user_id", "it names another user than your token; leave it empty")
    return acting_user(principal, requested_user_id, requested_session_id)


def viewer_of(principal: Principal) -> Viewer:
    """Return whose rows the caller may see: its own, or its whole tenant's for administrators."""
    return Viewer(tenant_id=principal.tenant_id, user_id=None if principal.is_admin else principal.user_id)


def approver_of(principal: Principal) -> Viewer:
    """Return whose rows the caller may see who looks for something to approve: those that wait for it besides."""
    viewer = viewer_of(principal)
    if viewer.user_id is None or not allows(principal.scopes, Resource.TASKS, Action.APPROVE):
        return viewer
    return replace(viewer, approver_id=viewer.user_id)


def snapshot(principal: Principal, user_id: str, now: datetime) -> Identity:
    """Return what is stored of the caller with a task for `user_id`. Shares nothing that could be changed."""
    return Identity(
        tenant_id=principal.tenant_id,
        user_id=user_id,
        scopes=principal.scopes,
        claims=deepcopy(dict(principal.claims)),
        captured_at=now,
    )


def anonymous_principal() -> Principal:
    """Return who calls when authentication is off: an administrator of one fixed tenant, who names users freely."""
    return Principal(tenant_id=DEFAULT_TENANT, user_id="", scopes=frozenset((ADMIN_SCOPE,)), may_name_any_user=True)


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def may_be_open(listen: str, unix_socket_mode: int | None) -> bool:
    """Whether authentication may be off on these addresses, as only this machine, or its owner, can call them.

    `listen` is host:port, empty without TCP; `unix_socket_mode` is None without a unix socket.
    """
    is_tcp_safe = not listen or is_loopback_host(listen.rpartition(":")[0])
    return is_tcp_safe and unix_socket_mode in (None, OWNER_ONLY_MODE)


def _mismatch(field: str, message: str) -> MusterdError:
    return MusterdError(reason=Reason.IDENTITY_MISMATCH, message=f"{field}: {message}", metadata={"field": field})
