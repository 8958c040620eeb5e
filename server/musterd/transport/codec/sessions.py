"""Encodes sessions and what runs added to them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from musterd.domain.session import Session, SessionEntry
from musterd.transport.codec.tasks import encode_ref, timestamp
from musterd_client.v1 import session_service_pb2 as pb2

ROLE_TO_WIRE: Mapping[str, pb2.MessageRole] = {
    "request": pb2.MESSAGE_ROLE_REQUEST,
    "response": pb2.MESSAGE_ROLE_RESPONSE,
}
TEXT_PARTS = {pb2.MESSAGE_ROLE_REQUEST: "user-prompt", pb2.MESSAGE_ROLE_RESPONSE: "text"}
"""The parts of a message, as pydantic-ai names them, that are what somebody says."""

TEXT_CONTENT = "text-content"

MESSAGE_MAX_BYTES = 3_145_728
"""A larger message is left out: gRPC clients take 4 MiB at once, unless they are told otherwise."""

OMITTED_TEXT_MAX_BYTES = 1_048_576

StoredMessage = Mapping[str, Any]
"""A message as pydantic-ai writes it."""


def encode_session(session: Session) -> pb2.Session:
    """Encode a session as it stands."""
    return pb2.Session(
        session_id=session.key.session_id,
        component=encode_ref(session.key.component),
        create_time=timestamp(session.create_time),
        update_time=timestamp(session.update_time),
        run_count=session.run_count,
        message_count=session.message_count,
        size_bytes=session.size_bytes,
        live_task_id=session.live_task_id,
    )


def messages_of(entry: SessionEntry) -> Sequence[StoredMessage]:
    """Return the messages that a run added to a session."""
    return cast("Sequence[StoredMessage]", json.loads(entry.messages_json))


def encode_entry(entry: SessionEntry) -> pb2.SessionEntry:
    """Encode what a run added to a session, without the messages."""
    return pb2.SessionEntry(position=entry.position, task_id=entry.task_id, create_time=timestamp(entry.create_time))


def encode_message(message: StoredMessage) -> pb2.SessionMessage:
    """Encode a message; the whole of one that is too large is left out."""
    role = ROLE_TO_WIRE[message["kind"]]
    said = (part["content"] for part in message["parts"] if part["part_kind"] == TEXT_PARTS[role])
    text = "\n".join(text for content in said for text in _texts(content))
    whole = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    size, text_bytes = len(whole.encode()), text.encode()
    if size + len(text_bytes) <= MESSAGE_MAX_BYTES:
        return pb2.SessionMessage(role=role, text=text, message_json=whole)
    beginning = text_bytes[:OMITTED_TEXT_MAX_BYTES].decode(errors="ignore")
    return pb2.SessionMessage(role=role, text=beginning, omitted_bytes=size)


def _texts(content: str | Sequence[str | Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is text in a content, which may also be a list of texts, files and images."""
    if isinstance(content, str):
        yield content
        return
    for each in content:
        if isinstance(each, str):
            yield each
        elif each["kind"] == TEXT_CONTENT:
            yield each["content"]
