import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "features", "limits")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    version: str
    features: _containers.RepeatedScalarFieldContainer[str]
    limits: ServerLimits
    def __init__(self, version: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[ServerLimits, _Mapping]] = ...) -> None: ...

class ServerLimits(_message.Message):
    __slots__ = ("max_message_bytes", "max_running_tasks", "max_wait_tasks", "max_page_size", "max_run_timeout", "max_requests_per_run", "max_reader_lag_events")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_TASKS_FIELD_NUMBER: _ClassVar[int]
    MAX_WAIT_TASKS_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_RUN_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUESTS_PER_RUN_FIELD_NUMBER: _ClassVar[int]
    MAX_READER_LAG_EVENTS_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_running_tasks: int
    max_wait_tasks: int
    max_page_size: int
    max_run_timeout: _duration_pb2.Duration
    max_requests_per_run: int
    max_reader_lag_events: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_running_tasks: _Optional[int] = ..., max_wait_tasks: _Optional[int] = ..., max_page_size: _Optional[int] = ..., max_run_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_requests_per_run: _Optional[int] = ..., max_reader_lag_events: _Optional[int] = ...) -> None: ...
