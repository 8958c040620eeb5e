"""Tokens for servers that verify them, and the settings of those servers."""

from datetime import UTC, datetime
from typing import Any

import jwt

SECRET = "a secret that is long enough: 32"
TASK_SCOPES = "tasks:read tasks:cancel tasks:write"
USER_SCOPES = f"agents:run {TASK_SCOPES}"
AUTH: dict[str, Any] = {"mode": "jwt", "secret": SECRET}


def token(
    user: str = "ada",
    *,
    tenant: str = "acme",
    scopes: str = USER_SCOPES,
    lifetime_seconds: float = 3_600,
    at: datetime | None = None,
    **claims: Any,
) -> str:
    """Return a token that a server with the settings AUTH accepts, issued now or `at` a time of the test's choice."""
    issued_unix = (at or datetime.now(UTC)).timestamp()
    standing = {"sub": user, "tenant_id": tenant, "scope": scopes, "exp": issued_unix + lifetime_seconds}
    return jwt.encode({**standing, **claims}, SECRET, algorithm="HS256")
