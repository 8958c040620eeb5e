"""What both adapters know of sessions."""

from musterd.domain.ports import NewTask
from musterd.domain.session import SessionKey
from musterd.domain.task import TaskState

BLOCKED_UNTIL = 2**62
"""The wake_time of a run whose session another one has: it comes when that one has ended, and never by itself."""

WAITING_FOR_SOMEBODY = frozenset((TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED))
"""States of a run whose session nobody can tell when it will be free."""


def begins_session_run(new: NewTask) -> bool:
    """Whether a new task takes part in a session: only roots do, with all that is below them."""
    return bool(new.spec.session_id) and new.task_id == new.root_task_id


def key_of(new: NewTask) -> SessionKey:
    """Return the session of a new run."""
    spec = new.spec
    return SessionKey(
        tenant_id=spec.identity.tenant_id,
        user_id=spec.identity.user_id,
        session_id=spec.session_id,
        component=spec.component,
    )


def key_values(key: SessionKey) -> tuple[str, str, str, str, str]:
    """Return what tells a session apart, in the order of the columns."""
    return key.tenant_id, key.user_id, key.session_id, key.component.kind.value, key.component.id
