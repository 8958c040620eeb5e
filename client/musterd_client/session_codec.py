"""Translates the values of sessions from messages of the contract."""

from musterd_client import session_model
from musterd_client.codec import EnumDecoder, component_from, time_from
from musterd_client.v1 import session_service_pb2

message_role_from = EnumDecoder(session_service_pb2.MessageRole, session_model.MessageRole, "MESSAGE_ROLE_")


def session_from(message: session_service_pb2.Session) -> session_model.Session:
    """Returns the session."""
    return session_model.Session(
        session_id=message.session_id,
        component=component_from(message.component),
        create_time=time_from(message.create_time) if message.HasField("create_time") else None,
        update_time=time_from(message.update_time) if message.HasField("update_time") else None,
        run_count=message.run_count,
        message_count=message.message_count,
        size_bytes=message.size_bytes,
        live_task_id=message.live_task_id,
    )


def session_entry_from(message: session_service_pb2.SessionEntry) -> session_model.SessionEntry:
    """Returns what a run added to a session."""
    return session_model.SessionEntry(
        position=message.position,
        task_id=message.task_id,
        create_time=time_from(message.create_time) if message.HasField("create_time") else None,
        messages=tuple(
            session_model.SessionMessage(
                role=message_role_from(each.role),
                text=each.text,
                message_json=each.message_json,
                omitted_bytes=each.omitted_bytes,
            )
            for each in message.messages
        ),
    )
