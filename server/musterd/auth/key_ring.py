"""All configured keys as one source."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from musterd.auth.jwks_file import JwksFile
from musterd.auth.jwks_url import JwksUrl
from musterd.auth.keys import KeySource, StaticKeys, VerificationKey, read_public_key_file, secret_key
from musterd.auth.refresh import RefreshedKeys, RefreshPolicy
from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError

FILE_CHECK_SECONDS = 5.0
FILE_BACKOFF_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlaces:
    """Where the keys are that tokens are verified with. At least one place is needed."""

    secret: bytes | None = None
    public_key_files: Sequence[Path] = ()
    jwks_file: Path | None = None
    jwks_url: str | None = None
    jwks_timeout_seconds: float = 5.0


def build_key_ring(places: KeyPlaces, policy: RefreshPolicy, clock: Clock) -> "KeyRing":
    """Return the key ring over all places. Raises ValueError or OSError for a static key that is not usable.

    A token may leave out its key id, or give any, only when there is one static key and nothing else. Otherwise the id
    of a PEM file's key is the file's name without suffix, and that of the secret is "secret".
    """
    static = [] if places.secret is None else [secret_key(places.secret)]
    static += [read_public_key_file(path) for path in places.public_key_files]
    changing: list[KeySource] = []
    if places.jwks_file is not None:
        file_policy = RefreshPolicy(
            refresh_seconds=FILE_CHECK_SECONDS,
            backoff_seconds=FILE_BACKOFF_SECONDS,
            max_stale_seconds=policy.max_stale_seconds,
        )
        changing.append(RefreshedKeys(JwksFile(places.jwks_file), file_policy, clock, must_open=True))
    if places.jwks_url is not None:
        loader = JwksUrl(places.jwks_url, timeout_seconds=places.jwks_timeout_seconds)
        changing.append(RefreshedKeys(loader, policy, clock, must_open=False))
    if not static and not changing:
        raise ValueError("there is no place to get keys from")
    if not static:
        return KeyRing(changing)
    return KeyRing([StaticKeys(static, takes_any_kid=len(static) == 1 and not changing), *changing])


class KeyRing:
    """A KeySource over several."""

    def __init__(self, sources: Sequence[KeySource]) -> None:
        self._sources = tuple(sources)

    @property
    def revision(self) -> int:
        """Grows when a key of any source goes away."""
        # Asked on every call, where a plain loop takes half the time of sum().
        total = 0
        for source in self._sources:
            total += source.revision
        return total

    def holds(self, key: VerificationKey) -> bool:
        """Whether any source holds `key`."""
        return any(source.holds(key) for source in self._sources)

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """Return the keys of the first source that has any; KEYS_UNAVAILABLE when none has and one cannot say."""
        unavailable: MusterdError | None = None
        for source in self._sources:
            try:
                keys = await source.find(kid, algorithm)
            except MusterdError as error:
                unavailable = error
            else:
                if keys:
                    return keys
        if unavailable is not None:
            raise unavailable
        return ()

    async def open(self) -> None:
        """Open all sources at the same time. Raises KeysNotLoadedError for a file that holds no key set."""
        await asyncio.gather(*(source.open() for source in self._sources))

    async def close(self) -> None:
        """Close all sources."""
        await asyncio.gather(*(source.close() for source in self._sources))
