"""Keys that change: loaded from elsewhere, kept fresh in the background, and kept while elsewhere is down."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from musterd.auth.jwks import KeysNotLoadedError
from musterd.auth.keys import VerificationKey
from musterd.auth.refusals import keys_unavailable
from musterd.domain.clock import Clock

logger = structlog.get_logger(__name__)


class KeyLoader(Protocol):
    """Gets the keys of one place."""

    @property
    def place(self) -> str:
        """What the place is called in the log."""
        ...

    async def load(self) -> Sequence[VerificationKey] | None:
        """Return the keys, or None when they are those of the last load. Raises KeysNotLoadedError."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPolicy:
    """How often keys are loaded.

    `refresh_seconds` lie between loads in the background. After a failed load, and between loads for key ids that
    nobody knows, there are at least `backoff_seconds`. Keys that could not be loaded again for `max_stale_seconds`,
    which are more than `refresh_seconds`, are dropped.
    """

    refresh_seconds: float = 300.0
    backoff_seconds: float = 30.0
    max_stale_seconds: float = 86_400.0


class RefreshedKeys:
    """A KeySource over a loader: one load at a time, however many calls wait for it.

    With `must_open` a first load that fails is an error; else it is tried again like any other.
    """

    def __init__(self, loader: KeyLoader, policy: RefreshPolicy, clock: Clock, *, must_open: bool) -> None:
        self._loader = loader
        self._policy = policy
        self._clock = clock
        self._must_open = must_open
        self._keys: dict[str, list[VerificationKey]] = {}
        self._revision = 0
        self._stale_at = clock.monotonic()
        self._next_on_demand_at = clock.monotonic()
        self._failure: KeysNotLoadedError | None = None
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def revision(self) -> int:
        """How often the keys changed."""
        return self._revision

    def holds(self, key: VerificationKey) -> bool:
        """Whether `key` is in the current set."""
        return key in self._keys.get(key.kid, ())

    async def find(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        """Return the keys with this id that take this algorithm, after one load when the id is not known.

        A token without a key id finds nothing: which key it means would depend on what is published at the moment.
        """
        if kid is None:
            return ()
        if kid not in self._keys:
            await self._refresh_on_demand()
        if kid not in self._keys and (self._failure is not None or not self._keys):
            raise keys_unavailable(max(self._next_on_demand_at - self._clock.monotonic(), 0.0))
        return [key for key in self._keys.get(kid, ()) if algorithm in key.algorithms]

    async def open(self) -> None:
        """Load for the first time, and go on in the background. Raises KeysNotLoadedError with `must_open`."""
        await self._refresh()
        if self._failure is not None and self._must_open:
            raise KeysNotLoadedError(f"{self._loader.place}: {self._failure}")
        self._keeper = asyncio.create_task(self._keep_fresh(), name=f"keep keys fresh: {self._loader.place}")

    async def close(self) -> None:
        """Stop the background task and a load under way."""
        tasks = [task for task in (self._keeper, self._flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loader.close()

    async def _keep_fresh(self) -> None:
        while True:
            await self._clock.sleep(self._pause_seconds())
            self._drop_stale()
            await self._refresh()

    def _pause_seconds(self) -> float:
        if self._failure is None:
            return self._policy.refresh_seconds
        left_seconds = self._stale_at - self._clock.monotonic()
        return min(self._policy.backoff_seconds, left_seconds) if left_seconds > 0 else self._policy.backoff_seconds

    async def _refresh_on_demand(self) -> None:
        if self._flight is None:
            now = self._clock.monotonic()
            if now < self._next_on_demand_at:
                return
            self._next_on_demand_at = now + self._policy.backoff_seconds
        await self._refresh()

    async def _refresh(self) -> None:
        if self._flight is None:
            self._flight = asyncio.create_task(self._load(), name=f"load keys: {self._loader.place}")
        # Unlike awaiting the task, this neither cancels it with the caller nor the caller with it.
        await asyncio.wait((self._flight,))

    async def _load(self) -> None:
        try:
            keys = await self._loader.load()
        except KeysNotLoadedError as error:
            self._failure = error
            self._next_on_demand_at = self._clock.monotonic() + self._policy.backoff_seconds
            self._drop_stale()
            logger.warning("keys_not_loaded", place=self._loader.place, error=str(error))
        else:
            self._failure = None
            self._stale_at = self._clock.monotonic() + self._policy.max_stale_seconds
            if keys is not None:
                self._install(keys)
        finally:
            self._flight = None

    def _drop_stale(self) -> None:
        # Where the last load went well the keys are old only because this process slept: the next load will tell.
        if self._failure is not None and self._clock.monotonic() >= self._stale_at:
            self._install(())

    def _install(self, keys: Sequence[VerificationKey]) -> None:
        by_id: dict[str, list[VerificationKey]] = {}
        for key in keys:
            by_id.setdefault(key.kid, []).append(key)
        if by_id == self._keys:
            return
        self._keys = by_id
        self._revision += 1
        logger.info("keys_changed", place=self._loader.place, keys=len(keys))
