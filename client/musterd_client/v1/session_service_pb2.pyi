import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from musterd_client.v1 import component_pb2 as _component_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_ROLE_UNSPECIFIED: _ClassVar[MessageRole]
    MESSAGE_ROLE_REQUEST: _ClassVar[MessageRole]
    MESSAGE_ROLE_RESPONSE: _ClassVar[MessageRole]
MESSAGE_ROLE_UNSPECIFIED: MessageRole
MESSAGE_ROLE_REQUEST: MessageRole
MESSAGE_ROLE_RESPONSE: MessageRole

class Session(_message.Message):
    __slots__ = ("session_id", "component", "create_time", "update_time", "run_count", "message_count", "size_bytes", "live_task_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LIVE_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    component: _component_pb2.ComponentRef
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    run_count: int
    message_count: int
    size_bytes: int
    live_task_id: str
    def __init__(self, session_id: _Optional[str] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run_count: _Optional[int] = ..., message_count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., live_task_id: _Optional[str] = ...) -> None: ...

class SessionEntry(_message.Message):
    __slots__ = ("position", "task_id", "create_time", "messages")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    position: int
    task_id: str
    create_time: _timestamp_pb2.Timestamp
    messages: _containers.RepeatedCompositeFieldContainer[SessionMessage]
    def __init__(self, position: _Optional[int] = ..., task_id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., messages: _Optional[_Iterable[_Union[SessionMessage, _Mapping]]] = ...) -> None: ...

class SessionMessage(_message.Message):
    __slots__ = ("role", "text", "message_json", "omitted_bytes")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_JSON_FIELD_NUMBER: _ClassVar[int]
    OMITTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    role: MessageRole
    text: str
    message_json: str
    omitted_bytes: int
    def __init__(self, role: _Optional[_Union[MessageRole, str]] = ..., text: _Optional[str] = ..., message_json: _Optional[str] = ..., omitted_bytes: _Optional[int] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "session_id", "component", "user_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    session_id: str
    component: _component_pb2.ComponentRef
    user_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., session_id: _Optional[str] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., user_id: _Optional[str] = ...) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions", "next_page_token")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    next_page_token: str
    def __init__(self, sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session_id", "component", "page_size", "page_token", "user_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    component: _component_pb2.ComponentRef
    page_size: int
    page_token: str
    user_id: str
    def __init__(self, session_id: _Optional[str] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("session", "entries", "next_page_token")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session: Session
    entries: _containers.RepeatedCompositeFieldContainer[SessionEntry]
    next_page_token: str
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[SessionEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteSessionRequest(_message.Message):
    __slots__ = ("session_id", "component", "cancel_live_runs", "user_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_LIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    component: _component_pb2.ComponentRef
    cancel_live_runs: bool
    user_id: str
    def __init__(self, session_id: _Optional[str] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., cancel_live_runs: _Optional[bool] = ..., user_id: _Optional[str] = ...) -> None: ...

class DeleteSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
