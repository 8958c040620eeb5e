"""A session: the conversation that several runs of one component make up."""

from dataclasses import dataclass
from datetime import datetime

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import ComponentRef


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """Names the history that runs share: one component's, in one conversation of one user."""

    tenant_id: str
    user_id: str
    session_id: str
    component: ComponentRef


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryWrite:
    """What a run adds to its session when it has ended: a JSON array of messages.

    With `replaces` it stands for the whole history from now on: the run made it shorter, or changed it.
    """

    messages_json: bytes
    message_count: int
    replaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """What one run added to a session. `position` counts up; `messages_json` is a JSON array."""

    position: int
    task_id: str
    create_time: datetime
    messages_json: bytes
    message_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as it stands. `live_task_id` is the run that has it now; it is empty when none does."""

    key: SessionKey
    create_time: datetime
    update_time: datetime
    run_count: int
    message_count: int
    size_bytes: int
    live_task_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """Which sessions of a user to list, latest first by (update_time, session_id, kind, component id).

    `before` is the last row of the page before.
    """

    tenant_id: str
    user_id: str
    limit: int
    before: tuple[datetime, str, str, str] | None = None
    session_id: str = ""
    component: ComponentRef | None = None


def session_not_found(session_id: str) -> MusterdError:
    """Return the error for a session that is not there, or not this caller's: the two must look alike."""
    return MusterdError(
        reason=Reason.SESSION_NOT_FOUND,
        message=f"you have no session {session_id!r}",
        metadata={"session_id": session_id},
    )


def session_waits(session_id: str, task_id: str) -> MusterdError:
    """Return the refusal of a run whose session is held by one that waits for somebody."""
    return MusterdError(
        reason=Reason.SESSION_BUSY,
        message=f"the run {task_id!r} of the session {session_id!r} waits for somebody: give it what it waits for, or "
        "cancel it",
        metadata={"session_id": session_id, "task_id": task_id},
    )


def session_is_live(session_id: str, task_id: str) -> MusterdError:
    """Return the refusal to delete a session of which a task has not ended."""
    return MusterdError(
        reason=Reason.SESSION_BUSY,
        message=f"the task {task_id!r} of the session {session_id!r} has not ended: wait for it, cancel it, or set "
        "cancel_live_runs",
        metadata={"session_id": session_id, "task_id": task_id},
    )
