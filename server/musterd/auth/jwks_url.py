"""A key set behind a URL."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from musterd.auth.identity import is_loopback_host
from musterd.auth.jwks import JWKS_MAX_BYTES, KeysNotLoadedError, parse_jwks
from musterd.auth.keys import VerificationKey


def check_jwks_url(url: str) -> str:
    """Return the URL. Raises ValueError unless it is https, or http on loopback, without credentials in it."""
    parts = urlsplit(url)
    if not parts.hostname or not _can_be_asked(url):
        raise ValueError("must be a full URL, for example https://id.example.com/.well-known/jwks.json")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold credentials: key sets are public")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback_host(parts.hostname)):
        return url
    raise ValueError("must be https (http only on loopback): who can change the keys can sign any token")


def _can_be_asked(url: str) -> bool:
    try:
        return bool(httpx.URL(url).host)
    except (httpx.InvalidURL, UnicodeError):
        return False


class JwksUrl:
    """Loads the keys of a JWKS URL. Follows no redirect and reads no more than a bounded response."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = check_jwks_url(url)
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=timeout_seconds,
            # A proxy from the environment cannot reach this machine's own loopback.
            trust_env=url.startswith("https:"),
            # Unpacked sizes have no bound, so nothing packed is asked for.
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    @property
    def place(self) -> str:
        """The URL."""
        return self._url

    async def load(self) -> Sequence[VerificationKey]:
        """Return the keys. Raises KeysNotLoadedError."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                document = await self._fetch()
        except TimeoutError as error:
            raise KeysNotLoadedError(f"no full answer within {self._timeout_seconds} s") from error
        except httpx.HTTPError as error:
            raise KeysNotLoadedError(f"{type(error).__name__}: {error}") from error
        return parse_jwks(document)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _fetch(self) -> bytes:
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != HTTPStatus.OK:
                raise KeysNotLoadedError(f"the answer is HTTP {response.status_code}, not 200")
            document = bytearray()
            async for chunk in response.aiter_raw():
                document += chunk
                if len(document) > JWKS_MAX_BYTES:
                    raise KeysNotLoadedError(f"the answer is larger than {JWKS_MAX_BYTES} bytes")
            return bytes(document)
