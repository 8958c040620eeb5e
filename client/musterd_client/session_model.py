"""The values of sessions: conversations that several runs make up, as frozen dataclasses."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from musterd_client.model import ComponentRef


class MessageRole(StrEnum):
    """Who says something: REQUEST is the user, or a tool on behalf of the agent, RESPONSE the model."""

    UNKNOWN = "UNKNOWN"
    REQUEST = "REQUEST"
    RESPONSE = "RESPONSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation with one component, as it stands. `live_task_id` is the run that has it now, or empty."""

    session_id: str
    component: ComponentRef
    create_time: datetime | None = None
    update_time: datetime | None = None
    run_count: int = 0
    message_count: int = 0
    size_bytes: int = 0
    live_task_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMessage:
    """One message of a conversation: what is said, and the whole as JSON in the form of pydantic-ai.

    Of a message that is larger than 3 MiB, `message_json` is empty, `omitted_bytes` how large it is, and `text` at most
    the first MiB.
    """

    role: MessageRole
    text: str = ""
    message_json: str = ""
    omitted_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """What one run added to a conversation. `position` counts up."""

    position: int
    task_id: str
    create_time: datetime | None = None
    messages: tuple[SessionMessage, ...] = ()
