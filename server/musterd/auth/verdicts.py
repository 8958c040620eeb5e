"""Verdicts on tokens that need not be given twice."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from musterd.auth.keys import VerificationKey
from musterd.domain.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A token that was found good: whose it is, until when, and which key said so."""

    principal: Principal
    expires_at: datetime
    key: VerificationKey


class VerdictCache:
    """The good verdicts used last, by the SHA-256 of the token. At most `size`; 0 keeps none."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verdicts)

    def get(self, digest: bytes, now: datetime) -> Principal | None:
        """Return whose token it is, or None when there is no verdict, or no longer one."""
        verdict = self._verdicts.get(digest)
        if verdict is None:
            return None
        if now >= verdict.expires_at:
            del self._verdicts[digest]
            return None
        self._verdicts.move_to_end(digest)
        return verdict.principal

    def put(self, digest: bytes, verdict: Verdict) -> None:
        """Keep a verdict, and let go of the one that was not used for longest when there are too many."""
        if self._size == 0:
            return
        self._verdicts[digest] = verdict
        self._verdicts.move_to_end(digest)
        if len(self._verdicts) > self._size:
            self._verdicts.popitem(last=False)

    def keep(self, still_good: Callable[[VerificationKey], bool]) -> None:
        """Let go of all verdicts of keys that are not good any more."""
        gone = [digest for digest, verdict in self._verdicts.items() if not still_good(verdict.key)]
        for digest in gone:
            del self._verdicts[digest]
