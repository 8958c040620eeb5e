import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from musterd_client.v1 import component_pb2 as _component_pb2
from musterd_client.v1 import event_pb2 as _event_pb2
from musterd_client.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchUntil(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATCH_UNTIL_UNSPECIFIED: _ClassVar[WatchUntil]
    WATCH_UNTIL_TASK: _ClassVar[WatchUntil]
    WATCH_UNTIL_TREE: _ClassVar[WatchUntil]

class WaitMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_MODE_UNSPECIFIED: _ClassVar[WaitMode]
    WAIT_MODE_ALL: _ClassVar[WaitMode]
    WAIT_MODE_ANY: _ClassVar[WaitMode]

class CancelMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANCEL_MODE_UNSPECIFIED: _ClassVar[CancelMode]
    CANCEL_MODE_SOFT: _ClassVar[CancelMode]
    CANCEL_MODE_HARD: _ClassVar[CancelMode]

class CancelOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANCEL_OUTCOME_UNSPECIFIED: _ClassVar[CancelOutcome]
    CANCEL_OUTCOME_CANCELED: _ClassVar[CancelOutcome]
    CANCEL_OUTCOME_CANCELING: _ClassVar[CancelOutcome]
    CANCEL_OUTCOME_ALREADY_CANCELED: _ClassVar[CancelOutcome]

class SteerOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEER_OUTCOME_UNSPECIFIED: _ClassVar[SteerOutcome]
    STEER_OUTCOME_APPLIED: _ClassVar[SteerOutcome]
    STEER_OUTCOME_PENDING: _ClassVar[SteerOutcome]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_APPROVE: _ClassVar[Verdict]
    VERDICT_DENY: _ClassVar[Verdict]
    VERDICT_RESULT: _ClassVar[Verdict]
WATCH_UNTIL_UNSPECIFIED: WatchUntil
WATCH_UNTIL_TASK: WatchUntil
WATCH_UNTIL_TREE: WatchUntil
WAIT_MODE_UNSPECIFIED: WaitMode
WAIT_MODE_ALL: WaitMode
WAIT_MODE_ANY: WaitMode
CANCEL_MODE_UNSPECIFIED: CancelMode
CANCEL_MODE_SOFT: CancelMode
CANCEL_MODE_HARD: CancelMode
CANCEL_OUTCOME_UNSPECIFIED: CancelOutcome
CANCEL_OUTCOME_CANCELED: CancelOutcome
CANCEL_OUTCOME_CANCELING: CancelOutcome
CANCEL_OUTCOME_ALREADY_CANCELED: CancelOutcome
STEER_OUTCOME_UNSPECIFIED: SteerOutcome
STEER_OUTCOME_APPLIED: SteerOutcome
STEER_OUTCOME_PENDING: SteerOutcome
VERDICT_UNSPECIFIED: Verdict
VERDICT_APPROVE: Verdict
VERDICT_DENY: Verdict
VERDICT_RESULT: Verdict

class TaskStatusRequest(_message.Message):
    __slots__ = ("task_id",)
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    def __init__(self, task_id: _Optional[str] = ...) -> None: ...

class TaskStatusResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states", "component", "session_id", "parent_task_id", "root_task_id", "has_open_approvals")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ROOT_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    HAS_OPEN_APPROVALS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[_task_pb2.TaskState]
    component: _component_pb2.ComponentRef
    session_id: str
    parent_task_id: str
    root_task_id: str
    has_open_approvals: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_task_pb2.TaskState, str]]] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., session_id: _Optional[str] = ..., parent_task_id: _Optional[str] = ..., root_task_id: _Optional[str] = ..., has_open_approvals: _Optional[bool] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_task_pb2.Task]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[_task_pb2.Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchTaskRequest(_message.Message):
    __slots__ = ("task_id", "after_sequence", "until")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    after_sequence: int
    until: WatchUntil
    def __init__(self, task_id: _Optional[str] = ..., after_sequence: _Optional[int] = ..., until: _Optional[_Union[WatchUntil, str]] = ...) -> None: ...

class WatchTaskResponse(_message.Message):
    __slots__ = ("task", "events")
    TASK_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.RunEvent]
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_event_pb2.RunEvent, _Mapping]]] = ...) -> None: ...

class WaitTasksRequest(_message.Message):
    __slots__ = ("task_ids", "mode", "timeout")
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    mode: WaitMode
    timeout: _duration_pb2.Duration
    def __init__(self, task_ids: _Optional[_Iterable[str]] = ..., mode: _Optional[_Union[WaitMode, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitTasksResponse(_message.Message):
    __slots__ = ("tasks", "pending_task_ids", "input_required_task_ids", "timed_out")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    PENDING_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    INPUT_REQUIRED_TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_task_pb2.Task]
    pending_task_ids: _containers.RepeatedScalarFieldContainer[str]
    input_required_task_ids: _containers.RepeatedScalarFieldContainer[str]
    timed_out: bool
    def __init__(self, tasks: _Optional[_Iterable[_Union[_task_pb2.Task, _Mapping]]] = ..., pending_task_ids: _Optional[_Iterable[str]] = ..., input_required_task_ids: _Optional[_Iterable[str]] = ..., timed_out: _Optional[bool] = ...) -> None: ...

class CancelTaskRequest(_message.Message):
    __slots__ = ("task_id", "mode", "grace", "reason", "cascade", "request_id")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CASCADE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    mode: CancelMode
    grace: _duration_pb2.Duration
    reason: str
    cascade: bool
    request_id: str
    def __init__(self, task_id: _Optional[str] = ..., mode: _Optional[_Union[CancelMode, str]] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ..., cascade: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class CancelTaskResponse(_message.Message):
    __slots__ = ("task", "outcome")
    TASK_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    outcome: CancelOutcome
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ..., outcome: _Optional[_Union[CancelOutcome, str]] = ...) -> None: ...

class SteerTaskRequest(_message.Message):
    __slots__ = ("task_id", "message", "wait_timeout", "request_id")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    message: str
    wait_timeout: _duration_pb2.Duration
    request_id: str
    def __init__(self, task_id: _Optional[str] = ..., message: _Optional[str] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SteerTaskResponse(_message.Message):
    __slots__ = ("steer_id", "outcome", "task")
    STEER_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    steer_id: str
    outcome: SteerOutcome
    task: _task_pb2.Task
    def __init__(self, steer_id: _Optional[str] = ..., outcome: _Optional[_Union[SteerOutcome, str]] = ..., task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class AnswerTaskRequest(_message.Message):
    __slots__ = ("task_id", "question_id", "answer", "request_id")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    QUESTION_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    question_id: str
    answer: str
    request_id: str
    def __init__(self, task_id: _Optional[str] = ..., question_id: _Optional[str] = ..., answer: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AnswerTaskResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class Resolution(_message.Message):
    __slots__ = ("approval_id", "verdict", "reason", "arguments_json", "result_json")
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    verdict: Verdict
    reason: str
    arguments_json: str
    result_json: str
    def __init__(self, approval_id: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., reason: _Optional[str] = ..., arguments_json: _Optional[str] = ..., result_json: _Optional[str] = ...) -> None: ...

class ResolveTaskRequest(_message.Message):
    __slots__ = ("task_id", "resolutions", "request_id")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RESOLUTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    resolutions: _containers.RepeatedCompositeFieldContainer[Resolution]
    request_id: str
    def __init__(self, task_id: _Optional[str] = ..., resolutions: _Optional[_Iterable[_Union[Resolution, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ResolveTaskResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...
