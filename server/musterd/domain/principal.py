"""Who is calling, and what of that is kept with a task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]

ADMIN_SCOPE = "musterd:admin"
IMPERSONATE_SCOPE = "musterd:impersonate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The snapshot of a caller that is stored with a task: never the token itself.

    `captured_at` is when the token was verified; a task resumed long after that must have it renewed.
    """

    tenant_id: str
    user_id: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    captured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified caller.

    `session_id` is set when the token fixes one. `expires_at` is the token's exp; None when authentication is off.
    `may_name_any_user` is true only when authentication is off: then the request names the user.
    """

    tenant_id: str
    user_id: str
    session_id: str = ""
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    expires_at: datetime | None = None
    may_name_any_user: bool = False

    @property
    def is_admin(self) -> bool:
        """Whether the caller administers its tenant."""
        return ADMIN_SCOPE in self.scopes

    @property
    def may_impersonate(self) -> bool:
        """Whether the caller may act for another user of its tenant."""
        return self.may_name_any_user or IMPERSONATE_SCOPE in self.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Whose rows a read or write may touch: one user's, or all of the tenant when `user_id` is None.

    With `approver_id` also those of the trees of the tenant in which an approval is open, or was decided by that user.
    """

    tenant_id: str
    user_id: str | None
    approver_id: str = ""
