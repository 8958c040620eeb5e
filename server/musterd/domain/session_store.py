"""What the runtime needs from a store about sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from musterd.domain.session import Session, SessionEntry, SessionKey, SessionQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A task of a session that has not ended."""

    task_id: str
    root_task_id: str


class SessionStore(Protocol):
    """The durable truth about sessions. They are their owner's alone: administrators do not see them."""

    async def load_history(self, key: SessionKey) -> Sequence[SessionEntry]:
        """Return all that runs have added to a session, in order; nothing when there is no such session."""
        ...

    async def list_sessions(self, query: SessionQuery) -> Sequence[Session]:
        """Return at most `query.limit` sessions."""
        ...

    async def get_session(self, key: SessionKey) -> Session:
        """Return a session as it stands. Raises SESSION_NOT_FOUND."""
        ...

    async def read_session(self, key: SessionKey, *, after_position: int, limit: int) -> Sequence[SessionEntry]:
        """Return a page of what runs have added, in order. Raises SESSION_NOT_FOUND."""
        ...

    async def find_live_runs(self, key: SessionKey) -> Sequence[LiveRun]:
        """Return the tasks of a session that have not ended, children that outlive their run too."""
        ...

    async def delete_session(self, key: SessionKey) -> None:
        """Delete a session with its history and all that its runs left: their trees, logs, steps and requests.

        Raises SESSION_NOT_FOUND, and SESSION_BUSY (with the task's id) when a run of it has not ended.
        """
        ...
