"""Where the bearer token comes from."""

import asyncio
from collections.abc import Awaitable, Callable

TokenProvider = Callable[[], str | Awaitable[str]]
"""Returns a token that is valid now. Called on the event loop when the first call is made, and again each time the
server says that the last one has expired; never twice at once. A sync one must not block. What it raises reaches the
caller of the call that needed the token."""


class TokenSource:
    """Keeps the token in use, and asks the provider for the next one."""

    def __init__(self, token: str | TokenProvider | None) -> None:
        self._provider = token if callable(token) else None
        self._token = None if callable(token) else token
        self._asking = asyncio.Lock()

    async def current(self) -> str | None:
        """Returns the token in use; None when the client has none."""
        if self._token is None and self._provider is not None:
            await self.renew(None)
        return self._token

    async def renew(self, stale: str | None) -> bool:
        """Replaces the stale token, once for all who ask at the same time; False when there is no other one."""
        async with self._asking:
            if self._token == stale and self._provider is not None:
                answer = self._provider()
                self._token = answer if isinstance(answer, str) else await answer
            return self._token != stale
