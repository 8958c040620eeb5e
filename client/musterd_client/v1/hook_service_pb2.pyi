import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from musterd_client.v1 import event_pb2 as _event_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HookRunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOOK_RUN_STATE_UNSPECIFIED: _ClassVar[HookRunState]
    HOOK_RUN_STATE_PENDING: _ClassVar[HookRunState]
    HOOK_RUN_STATE_RUNNING: _ClassVar[HookRunState]
    HOOK_RUN_STATE_COMPLETED: _ClassVar[HookRunState]
    HOOK_RUN_STATE_DEAD: _ClassVar[HookRunState]
HOOK_RUN_STATE_UNSPECIFIED: HookRunState
HOOK_RUN_STATE_PENDING: HookRunState
HOOK_RUN_STATE_RUNNING: HookRunState
HOOK_RUN_STATE_COMPLETED: HookRunState
HOOK_RUN_STATE_DEAD: HookRunState

class HookRun(_message.Message):
    __slots__ = ("hook_run_id", "task_id", "name", "phase", "state", "attempts", "error", "create_time", "update_time", "next_attempt_time")
    HOOK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    hook_run_id: str
    task_id: str
    name: str
    phase: _event_pb2.HookPhase
    state: HookRunState
    attempts: int
    error: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    next_attempt_time: _timestamp_pb2.Timestamp
    def __init__(self, hook_run_id: _Optional[str] = ..., task_id: _Optional[str] = ..., name: _Optional[str] = ..., phase: _Optional[_Union[_event_pb2.HookPhase, str]] = ..., state: _Optional[_Union[HookRunState, str]] = ..., attempts: _Optional[int] = ..., error: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListHookRunsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "task_id", "states")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    task_id: str
    states: _containers.RepeatedScalarFieldContainer[HookRunState]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., task_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[HookRunState, str]]] = ...) -> None: ...

class ListHookRunsResponse(_message.Message):
    __slots__ = ("hook_runs", "next_page_token")
    HOOK_RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    hook_runs: _containers.RepeatedCompositeFieldContainer[HookRun]
    next_page_token: str
    def __init__(self, hook_runs: _Optional[_Iterable[_Union[HookRun, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryHookRunRequest(_message.Message):
    __slots__ = ("hook_run_id", "request_id")
    HOOK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    hook_run_id: str
    request_id: str
    def __init__(self, hook_run_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryHookRunResponse(_message.Message):
    __slots__ = ("hook_run",)
    HOOK_RUN_FIELD_NUMBER: _ClassVar[int]
    hook_run: HookRun
    def __init__(self, hook_run: _Optional[_Union[HookRun, _Mapping]] = ...) -> None: ...
