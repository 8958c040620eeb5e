import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from musterd_client.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TodoStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TODO_STATUS_UNSPECIFIED: _ClassVar[TodoStatus]
    TODO_STATUS_PENDING: _ClassVar[TodoStatus]
    TODO_STATUS_IN_PROGRESS: _ClassVar[TodoStatus]
    TODO_STATUS_COMPLETED: _ClassVar[TodoStatus]
    TODO_STATUS_FAILED: _ClassVar[TodoStatus]
TODO_STATUS_UNSPECIFIED: TodoStatus
TODO_STATUS_PENDING: TodoStatus
TODO_STATUS_IN_PROGRESS: TodoStatus
TODO_STATUS_COMPLETED: TodoStatus
TODO_STATUS_FAILED: TodoStatus

class Todo(_message.Message):
    __slots__ = ("todo_id", "content", "status", "assigned_to", "blocked_by", "created_by", "attempts", "result")
    TODO_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_TO_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    todo_id: str
    content: str
    status: TodoStatus
    assigned_to: str
    blocked_by: _containers.RepeatedScalarFieldContainer[str]
    created_by: str
    attempts: int
    result: str
    def __init__(self, todo_id: _Optional[str] = ..., content: _Optional[str] = ..., status: _Optional[_Union[TodoStatus, str]] = ..., assigned_to: _Optional[str] = ..., blocked_by: _Optional[_Iterable[str]] = ..., created_by: _Optional[str] = ..., attempts: _Optional[int] = ..., result: _Optional[str] = ...) -> None: ...

class TeamMessage(_message.Message):
    __slots__ = ("message_id", "sender", "receiver", "content", "create_time")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    sender: str
    receiver: str
    content: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, message_id: _Optional[str] = ..., sender: _Optional[str] = ..., receiver: _Optional[str] = ..., content: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BoardMember(_message.Message):
    __slots__ = ("name", "role", "description", "tasks")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: str
    description: str
    tasks: _containers.RepeatedCompositeFieldContainer[_task_pb2.Task]
    def __init__(self, name: _Optional[str] = ..., role: _Optional[str] = ..., description: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[_task_pb2.Task, _Mapping]]] = ...) -> None: ...

class TeamBoard(_message.Message):
    __slots__ = ("task_id", "team", "members", "todos", "messages")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    TODOS_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    team: str
    members: _containers.RepeatedCompositeFieldContainer[BoardMember]
    todos: _containers.RepeatedCompositeFieldContainer[Todo]
    messages: _containers.RepeatedCompositeFieldContainer[TeamMessage]
    def __init__(self, task_id: _Optional[str] = ..., team: _Optional[str] = ..., members: _Optional[_Iterable[_Union[BoardMember, _Mapping]]] = ..., todos: _Optional[_Iterable[_Union[Todo, _Mapping]]] = ..., messages: _Optional[_Iterable[_Union[TeamMessage, _Mapping]]] = ...) -> None: ...
