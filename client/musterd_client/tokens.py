"""Where the bearer token comes from."""

import asyncio
from collections.abc import Awaitable, Callable

TokenProvider = Callable[[], str | Awaitable[str]]
"""Returns a token that is valid now. Called on the event loop when the first call is made, and again each time the
server says that the last one has expired; never twice at once. A sync one must not block. What it raises reaches the
caller of the call that needed the token; so does a ValueError for a token that a header cannot carry."""


def is_header_value(text: str) -> bool:
    """Whether a header of HTTP/2 carries the text as it is: printable ASCII, on one line."""
    return text.isascii() and text.isprintable()


class TokenSource:
    """Keeps the token in use, and asks the provider for the next one.

    Raises:
        ValueError: the token has characters that a header cannot carry.
    """

    def __init__(self, token: str | TokenProvider | None) -> None:
        self._provider = token if callable(token) else None
        self._token = None if token is None or callable(token) else _checked(token)
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
                self._token = _checked(answer if isinstance(answer, str) else await answer)
            return self._token != stale


def _checked(token: str) -> str:
    if not is_header_value(token):
        raise ValueError("the token is not printable ASCII on one line; one read from a file may end in a line break")
    return token
