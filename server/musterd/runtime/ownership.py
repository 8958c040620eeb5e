"""Under which name this process works on tasks."""

import os
import socket
from dataclasses import dataclass, field

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ids import new_id

LOST_RETRY_SECONDS = 1.0


def new_owner() -> str:
    """Return a name that no process has had: it tells people where to look."""
    return f"{socket.gethostname()}-{os.getpid()}-{new_id()}"


@dataclass(slots=True)
class Ownership:
    """The name under which this process owns tasks. While it `is_lost`, the process works on none."""

    owner: str = field(default_factory=new_owner)
    is_lost: bool = False

    def holds(self, owner: str) -> bool:
        """Whether a name is the one under which this process works now: what was begun under another one is over."""
        return not self.is_lost and self.owner == owner

    def check(self) -> None:
        """Raise MusterdError STORE_UNAVAILABLE while the name is lost."""
        if self.is_lost:
            raise MusterdError(
                reason=Reason.STORE_UNAVAILABLE,
                message="this server could not tell the store in time that it lives, and starts nothing until it can",
                retry_after_seconds=LOST_RETRY_SECONDS,
            )
