import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from musterd_client.v1 import board_pb2 as _board_pb2
from musterd_client.v1 import component_pb2 as _component_pb2
from musterd_client.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StepRestartCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_RESTART_CAUSE_UNSPECIFIED: _ClassVar[StepRestartCause]
    STEP_RESTART_CAUSE_RECOVERY: _ClassVar[StepRestartCause]
    STEP_RESTART_CAUSE_RETRY: _ClassVar[StepRestartCause]

class TodoChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TODO_CHANGE_UNSPECIFIED: _ClassVar[TodoChange]
    TODO_CHANGE_ADDED: _ClassVar[TodoChange]
    TODO_CHANGE_CLAIMED: _ClassVar[TodoChange]
    TODO_CHANGE_COMPLETED: _ClassVar[TodoChange]
    TODO_CHANGE_RELEASED: _ClassVar[TodoChange]
    TODO_CHANGE_FAILED: _ClassVar[TodoChange]
    TODO_CHANGE_REMOVED: _ClassVar[TodoChange]

class HookPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOOK_PHASE_UNSPECIFIED: _ClassVar[HookPhase]
    HOOK_PHASE_PRE: _ClassVar[HookPhase]
    HOOK_PHASE_POST: _ClassVar[HookPhase]
STEP_RESTART_CAUSE_UNSPECIFIED: StepRestartCause
STEP_RESTART_CAUSE_RECOVERY: StepRestartCause
STEP_RESTART_CAUSE_RETRY: StepRestartCause
TODO_CHANGE_UNSPECIFIED: TodoChange
TODO_CHANGE_ADDED: TodoChange
TODO_CHANGE_CLAIMED: TodoChange
TODO_CHANGE_COMPLETED: TodoChange
TODO_CHANGE_RELEASED: TodoChange
TODO_CHANGE_FAILED: TodoChange
TODO_CHANGE_REMOVED: TodoChange
HOOK_PHASE_UNSPECIFIED: HookPhase
HOOK_PHASE_PRE: HookPhase
HOOK_PHASE_POST: HookPhase

class RunEvent(_message.Message):
    __slots__ = ("task_id", "sequence", "create_time", "component", "task_started", "task_completed", "task_failed", "task_canceled", "cancel_requested", "auth_required", "auth_renewed", "model_request_started", "model_request_completed", "text_delta", "thinking_delta", "tool_call_arguments_delta", "retry_scheduled", "step_restarted", "tool_call_started", "tool_call_completed", "tool_call_failed", "steered", "question_asked", "question_answered", "question_expired", "subtask_started", "subtask_ended", "todo_changed", "team_message_sent", "approval_requested", "approval_resolved", "custom", "hook_started", "hook_completed", "hook_failed", "heartbeat", "step_started", "step_completed", "step_failed", "step_skipped", "branch_chosen", "loop_turned")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    TASK_STARTED_FIELD_NUMBER: _ClassVar[int]
    TASK_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    TASK_FAILED_FIELD_NUMBER: _ClassVar[int]
    TASK_CANCELED_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    AUTH_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    AUTH_RENEWED_FIELD_NUMBER: _ClassVar[int]
    MODEL_REQUEST_STARTED_FIELD_NUMBER: _ClassVar[int]
    MODEL_REQUEST_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    TEXT_DELTA_FIELD_NUMBER: _ClassVar[int]
    THINKING_DELTA_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ARGUMENTS_DELTA_FIELD_NUMBER: _ClassVar[int]
    RETRY_SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    STEP_RESTARTED_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_STARTED_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_FAILED_FIELD_NUMBER: _ClassVar[int]
    STEERED_FIELD_NUMBER: _ClassVar[int]
    QUESTION_ASKED_FIELD_NUMBER: _ClassVar[int]
    QUESTION_ANSWERED_FIELD_NUMBER: _ClassVar[int]
    QUESTION_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_STARTED_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ENDED_FIELD_NUMBER: _ClassVar[int]
    TODO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    TEAM_MESSAGE_SENT_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_RESOLVED_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_FIELD_NUMBER: _ClassVar[int]
    HOOK_STARTED_FIELD_NUMBER: _ClassVar[int]
    HOOK_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    HOOK_FAILED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    STEP_STARTED_FIELD_NUMBER: _ClassVar[int]
    STEP_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    STEP_FAILED_FIELD_NUMBER: _ClassVar[int]
    STEP_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    BRANCH_CHOSEN_FIELD_NUMBER: _ClassVar[int]
    LOOP_TURNED_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    sequence: int
    create_time: _timestamp_pb2.Timestamp
    component: _component_pb2.ComponentRef
    task_started: TaskStarted
    task_completed: TaskCompleted
    task_failed: TaskFailed
    task_canceled: TaskCanceled
    cancel_requested: CancelRequested
    auth_required: AuthRequired
    auth_renewed: AuthRenewed
    model_request_started: ModelRequestStarted
    model_request_completed: ModelRequestCompleted
    text_delta: TextDelta
    thinking_delta: ThinkingDelta
    tool_call_arguments_delta: ToolCallArgumentsDelta
    retry_scheduled: RetryScheduled
    step_restarted: StepRestarted
    tool_call_started: ToolCallStarted
    tool_call_completed: ToolCallCompleted
    tool_call_failed: ToolCallFailed
    steered: Steered
    question_asked: QuestionAsked
    question_answered: QuestionAnswered
    question_expired: QuestionExpired
    subtask_started: SubtaskStarted
    subtask_ended: SubtaskEnded
    todo_changed: TodoChanged
    team_message_sent: TeamMessageSent
    approval_requested: ApprovalRequested
    approval_resolved: ApprovalResolved
    custom: Custom
    hook_started: HookStarted
    hook_completed: HookCompleted
    hook_failed: HookFailed
    heartbeat: Heartbeat
    step_started: StepStarted
    step_completed: StepCompleted
    step_failed: StepFailed
    step_skipped: StepSkipped
    branch_chosen: BranchChosen
    loop_turned: LoopTurned
    def __init__(self, task_id: _Optional[str] = ..., sequence: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., task_started: _Optional[_Union[TaskStarted, _Mapping]] = ..., task_completed: _Optional[_Union[TaskCompleted, _Mapping]] = ..., task_failed: _Optional[_Union[TaskFailed, _Mapping]] = ..., task_canceled: _Optional[_Union[TaskCanceled, _Mapping]] = ..., cancel_requested: _Optional[_Union[CancelRequested, _Mapping]] = ..., auth_required: _Optional[_Union[AuthRequired, _Mapping]] = ..., auth_renewed: _Optional[_Union[AuthRenewed, _Mapping]] = ..., model_request_started: _Optional[_Union[ModelRequestStarted, _Mapping]] = ..., model_request_completed: _Optional[_Union[ModelRequestCompleted, _Mapping]] = ..., text_delta: _Optional[_Union[TextDelta, _Mapping]] = ..., thinking_delta: _Optional[_Union[ThinkingDelta, _Mapping]] = ..., tool_call_arguments_delta: _Optional[_Union[ToolCallArgumentsDelta, _Mapping]] = ..., retry_scheduled: _Optional[_Union[RetryScheduled, _Mapping]] = ..., step_restarted: _Optional[_Union[StepRestarted, _Mapping]] = ..., tool_call_started: _Optional[_Union[ToolCallStarted, _Mapping]] = ..., tool_call_completed: _Optional[_Union[ToolCallCompleted, _Mapping]] = ..., tool_call_failed: _Optional[_Union[ToolCallFailed, _Mapping]] = ..., steered: _Optional[_Union[Steered, _Mapping]] = ..., question_asked: _Optional[_Union[QuestionAsked, _Mapping]] = ..., question_answered: _Optional[_Union[QuestionAnswered, _Mapping]] = ..., question_expired: _Optional[_Union[QuestionExpired, _Mapping]] = ..., subtask_started: _Optional[_Union[SubtaskStarted, _Mapping]] = ..., subtask_ended: _Optional[_Union[SubtaskEnded, _Mapping]] = ..., todo_changed: _Optional[_Union[TodoChanged, _Mapping]] = ..., team_message_sent: _Optional[_Union[TeamMessageSent, _Mapping]] = ..., approval_requested: _Optional[_Union[ApprovalRequested, _Mapping]] = ..., approval_resolved: _Optional[_Union[ApprovalResolved, _Mapping]] = ..., custom: _Optional[_Union[Custom, _Mapping]] = ..., hook_started: _Optional[_Union[HookStarted, _Mapping]] = ..., hook_completed: _Optional[_Union[HookCompleted, _Mapping]] = ..., hook_failed: _Optional[_Union[HookFailed, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., step_started: _Optional[_Union[StepStarted, _Mapping]] = ..., step_completed: _Optional[_Union[StepCompleted, _Mapping]] = ..., step_failed: _Optional[_Union[StepFailed, _Mapping]] = ..., step_skipped: _Optional[_Union[StepSkipped, _Mapping]] = ..., branch_chosen: _Optional[_Union[BranchChosen, _Mapping]] = ..., loop_turned: _Optional[_Union[LoopTurned, _Mapping]] = ...) -> None: ...

class TaskStarted(_message.Message):
    __slots__ = ("session_id", "parent_task_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    parent_task_id: str
    def __init__(self, session_id: _Optional[str] = ..., parent_task_id: _Optional[str] = ...) -> None: ...

class TaskCompleted(_message.Message):
    __slots__ = ("output", "usage", "unapplied_steer_ids")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    UNAPPLIED_STEER_IDS_FIELD_NUMBER: _ClassVar[int]
    output: _task_pb2.Output
    usage: _task_pb2.Usage
    unapplied_steer_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, output: _Optional[_Union[_task_pb2.Output, _Mapping]] = ..., usage: _Optional[_Union[_task_pb2.Usage, _Mapping]] = ..., unapplied_steer_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class TaskFailed(_message.Message):
    __slots__ = ("error", "usage", "output", "state", "unapplied_steer_ids")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    UNAPPLIED_STEER_IDS_FIELD_NUMBER: _ClassVar[int]
    error: _task_pb2.TaskError
    usage: _task_pb2.Usage
    output: _task_pb2.Output
    state: _task_pb2.TaskState
    unapplied_steer_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, error: _Optional[_Union[_task_pb2.TaskError, _Mapping]] = ..., usage: _Optional[_Union[_task_pb2.Usage, _Mapping]] = ..., output: _Optional[_Union[_task_pb2.Output, _Mapping]] = ..., state: _Optional[_Union[_task_pb2.TaskState, str]] = ..., unapplied_steer_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class TaskCanceled(_message.Message):
    __slots__ = ("reason", "usage", "output", "unapplied_steer_ids")
    REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    UNAPPLIED_STEER_IDS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    usage: _task_pb2.Usage
    output: _task_pb2.Output
    unapplied_steer_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reason: _Optional[str] = ..., usage: _Optional[_Union[_task_pb2.Usage, _Mapping]] = ..., output: _Optional[_Union[_task_pb2.Output, _Mapping]] = ..., unapplied_steer_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelRequested(_message.Message):
    __slots__ = ("reason", "hard", "grace", "user_id")
    REASON_FIELD_NUMBER: _ClassVar[int]
    HARD_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    reason: str
    hard: bool
    grace: _duration_pb2.Duration
    user_id: str
    def __init__(self, reason: _Optional[str] = ..., hard: _Optional[bool] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., user_id: _Optional[str] = ...) -> None: ...

class AuthRequired(_message.Message):
    __slots__ = ("expire_time",)
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AuthRenewed(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class ModelRequestStarted(_message.Message):
    __slots__ = ("step", "model")
    STEP_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    step: int
    model: str
    def __init__(self, step: _Optional[int] = ..., model: _Optional[str] = ...) -> None: ...

class ModelRequestCompleted(_message.Message):
    __slots__ = ("step", "model", "usage", "finish_reason")
    STEP_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    step: int
    model: str
    usage: _task_pb2.Usage
    finish_reason: str
    def __init__(self, step: _Optional[int] = ..., model: _Optional[str] = ..., usage: _Optional[_Union[_task_pb2.Usage, _Mapping]] = ..., finish_reason: _Optional[str] = ...) -> None: ...

class TextDelta(_message.Message):
    __slots__ = ("step", "part_index", "text")
    STEP_FIELD_NUMBER: _ClassVar[int]
    PART_INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    step: int
    part_index: int
    text: str
    def __init__(self, step: _Optional[int] = ..., part_index: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ThinkingDelta(_message.Message):
    __slots__ = ("step", "part_index", "text")
    STEP_FIELD_NUMBER: _ClassVar[int]
    PART_INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    step: int
    part_index: int
    text: str
    def __init__(self, step: _Optional[int] = ..., part_index: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ToolCallArgumentsDelta(_message.Message):
    __slots__ = ("step", "part_index", "tool_call_id", "tool_name", "arguments_json")
    STEP_FIELD_NUMBER: _ClassVar[int]
    PART_INDEX_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    step: int
    part_index: int
    tool_call_id: str
    tool_name: str
    arguments_json: str
    def __init__(self, step: _Optional[int] = ..., part_index: _Optional[int] = ..., tool_call_id: _Optional[str] = ..., tool_name: _Optional[str] = ..., arguments_json: _Optional[str] = ...) -> None: ...

class RetryScheduled(_message.Message):
    __slots__ = ("step", "attempt", "delay", "message")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    step: int
    attempt: int
    delay: _duration_pb2.Duration
    message: str
    def __init__(self, step: _Optional[int] = ..., attempt: _Optional[int] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., message: _Optional[str] = ...) -> None: ...

class StepRestarted(_message.Message):
    __slots__ = ("step", "cause")
    STEP_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    step: int
    cause: StepRestartCause
    def __init__(self, step: _Optional[int] = ..., cause: _Optional[_Union[StepRestartCause, str]] = ...) -> None: ...

class ToolCallStarted(_message.Message):
    __slots__ = ("step", "tool_call_id", "tool_name", "arguments_json")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    step: int
    tool_call_id: str
    tool_name: str
    arguments_json: str
    def __init__(self, step: _Optional[int] = ..., tool_call_id: _Optional[str] = ..., tool_name: _Optional[str] = ..., arguments_json: _Optional[str] = ...) -> None: ...

class ToolCallCompleted(_message.Message):
    __slots__ = ("step", "tool_call_id", "tool_name", "result_json", "omitted_bytes")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_NAME_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    OMITTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    step: int
    tool_call_id: str
    tool_name: str
    result_json: str
    omitted_bytes: int
    def __init__(self, step: _Optional[int] = ..., tool_call_id: _Optional[str] = ..., tool_name: _Optional[str] = ..., result_json: _Optional[str] = ..., omitted_bytes: _Optional[int] = ...) -> None: ...

class ToolCallFailed(_message.Message):
    __slots__ = ("step", "tool_call_id", "tool_name", "message", "will_retry")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    WILL_RETRY_FIELD_NUMBER: _ClassVar[int]
    step: int
    tool_call_id: str
    tool_name: str
    message: str
    will_retry: bool
    def __init__(self, step: _Optional[int] = ..., tool_call_id: _Optional[str] = ..., tool_name: _Optional[str] = ..., message: _Optional[str] = ..., will_retry: _Optional[bool] = ...) -> None: ...

class Steered(_message.Message):
    __slots__ = ("steer_id", "step", "message", "user_id")
    STEER_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    steer_id: str
    step: int
    message: str
    user_id: str
    def __init__(self, steer_id: _Optional[str] = ..., step: _Optional[int] = ..., message: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class QuestionAsked(_message.Message):
    __slots__ = ("question_id", "text", "expire_time")
    QUESTION_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    question_id: str
    text: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, question_id: _Optional[str] = ..., text: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class QuestionAnswered(_message.Message):
    __slots__ = ("question_id", "answer", "user_id")
    QUESTION_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    question_id: str
    answer: str
    user_id: str
    def __init__(self, question_id: _Optional[str] = ..., answer: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class QuestionExpired(_message.Message):
    __slots__ = ("question_id",)
    QUESTION_ID_FIELD_NUMBER: _ClassVar[int]
    question_id: str
    def __init__(self, question_id: _Optional[str] = ...) -> None: ...

class SubtaskStarted(_message.Message):
    __slots__ = ("subtask_id", "component", "description", "in_background")
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IN_BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    subtask_id: str
    component: _component_pb2.ComponentRef
    description: str
    in_background: bool
    def __init__(self, subtask_id: _Optional[str] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., description: _Optional[str] = ..., in_background: _Optional[bool] = ...) -> None: ...

class SubtaskEnded(_message.Message):
    __slots__ = ("subtask_id", "component", "state")
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    subtask_id: str
    component: _component_pb2.ComponentRef
    state: _task_pb2.TaskState
    def __init__(self, subtask_id: _Optional[str] = ..., component: _Optional[_Union[_component_pb2.ComponentRef, _Mapping]] = ..., state: _Optional[_Union[_task_pb2.TaskState, str]] = ...) -> None: ...

class TodoChanged(_message.Message):
    __slots__ = ("change", "todo", "actor")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    TODO_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    change: TodoChange
    todo: _board_pb2.Todo
    actor: str
    def __init__(self, change: _Optional[_Union[TodoChange, str]] = ..., todo: _Optional[_Union[_board_pb2.Todo, _Mapping]] = ..., actor: _Optional[str] = ...) -> None: ...

class TeamMessageSent(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: _board_pb2.TeamMessage
    def __init__(self, message: _Optional[_Union[_board_pb2.TeamMessage, _Mapping]] = ...) -> None: ...

class Custom(_message.Message):
    __slots__ = ("type", "payload")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    type: str
    payload: _struct_pb2.Struct
    def __init__(self, type: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("last_sequence",)
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    last_sequence: int
    def __init__(self, last_sequence: _Optional[int] = ...) -> None: ...

class ApprovalRequested(_message.Message):
    __slots__ = ("approval",)
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    approval: _task_pb2.Approval
    def __init__(self, approval: _Optional[_Union[_task_pb2.Approval, _Mapping]] = ...) -> None: ...

class ApprovalResolved(_message.Message):
    __slots__ = ("approval_id", "state", "reason", "arguments_json", "result_json", "user_id")
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    state: _task_pb2.ApprovalState
    reason: str
    arguments_json: str
    result_json: str
    user_id: str
    def __init__(self, approval_id: _Optional[str] = ..., state: _Optional[_Union[_task_pb2.ApprovalState, str]] = ..., reason: _Optional[str] = ..., arguments_json: _Optional[str] = ..., result_json: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class HookStarted(_message.Message):
    __slots__ = ("hook_run_id", "phase", "name", "in_background", "attempt")
    HOOK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    IN_BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    hook_run_id: str
    phase: HookPhase
    name: str
    in_background: bool
    attempt: int
    def __init__(self, hook_run_id: _Optional[str] = ..., phase: _Optional[_Union[HookPhase, str]] = ..., name: _Optional[str] = ..., in_background: _Optional[bool] = ..., attempt: _Optional[int] = ...) -> None: ...

class HookCompleted(_message.Message):
    __slots__ = ("hook_run_id", "phase", "name", "in_background", "attempt")
    HOOK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    IN_BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    hook_run_id: str
    phase: HookPhase
    name: str
    in_background: bool
    attempt: int
    def __init__(self, hook_run_id: _Optional[str] = ..., phase: _Optional[_Union[HookPhase, str]] = ..., name: _Optional[str] = ..., in_background: _Optional[bool] = ..., attempt: _Optional[int] = ...) -> None: ...

class HookFailed(_message.Message):
    __slots__ = ("hook_run_id", "phase", "name", "in_background", "attempt", "message", "will_retry", "trigger", "details")
    HOOK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    IN_BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    WILL_RETRY_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    hook_run_id: str
    phase: HookPhase
    name: str
    in_background: bool
    attempt: int
    message: str
    will_retry: bool
    trigger: str
    details: _struct_pb2.Struct
    def __init__(self, hook_run_id: _Optional[str] = ..., phase: _Optional[_Union[HookPhase, str]] = ..., name: _Optional[str] = ..., in_background: _Optional[bool] = ..., attempt: _Optional[int] = ..., message: _Optional[str] = ..., will_retry: _Optional[bool] = ..., trigger: _Optional[str] = ..., details: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class StepPlace(_message.Message):
    __slots__ = ("name", "path", "index", "iteration")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: _containers.RepeatedScalarFieldContainer[str]
    index: int
    iteration: int
    def __init__(self, name: _Optional[str] = ..., path: _Optional[_Iterable[str]] = ..., index: _Optional[int] = ..., iteration: _Optional[int] = ...) -> None: ...

class StepStarted(_message.Message):
    __slots__ = ("place", "kind", "attempt", "subtask_id")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SUBTASK_ID_FIELD_NUMBER: _ClassVar[int]
    place: StepPlace
    kind: _component_pb2.WorkflowStepKind
    attempt: int
    subtask_id: str
    def __init__(self, place: _Optional[_Union[StepPlace, _Mapping]] = ..., kind: _Optional[_Union[_component_pb2.WorkflowStepKind, str]] = ..., attempt: _Optional[int] = ..., subtask_id: _Optional[str] = ...) -> None: ...

class StepCompleted(_message.Message):
    __slots__ = ("place", "attempt", "output", "omitted_bytes", "stops_workflow")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OMITTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    STOPS_WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    place: StepPlace
    attempt: int
    output: str
    omitted_bytes: int
    stops_workflow: bool
    def __init__(self, place: _Optional[_Union[StepPlace, _Mapping]] = ..., attempt: _Optional[int] = ..., output: _Optional[str] = ..., omitted_bytes: _Optional[int] = ..., stops_workflow: _Optional[bool] = ...) -> None: ...

class StepFailed(_message.Message):
    __slots__ = ("place", "attempt", "message", "will_retry", "is_skipped")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    WILL_RETRY_FIELD_NUMBER: _ClassVar[int]
    IS_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    place: StepPlace
    attempt: int
    message: str
    will_retry: bool
    is_skipped: bool
    def __init__(self, place: _Optional[_Union[StepPlace, _Mapping]] = ..., attempt: _Optional[int] = ..., message: _Optional[str] = ..., will_retry: _Optional[bool] = ..., is_skipped: _Optional[bool] = ...) -> None: ...

class StepSkipped(_message.Message):
    __slots__ = ("place", "reason")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    place: StepPlace
    reason: str
    def __init__(self, place: _Optional[_Union[StepPlace, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class BranchChosen(_message.Message):
    __slots__ = ("place", "choices")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    place: StepPlace
    choices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, place: _Optional[_Union[StepPlace, _Mapping]] = ..., choices: _Optional[_Iterable[str]] = ...) -> None: ...

class LoopTurned(_message.Message):
    __slots__ = ("place", "turn", "will_continue")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    WILL_CONTINUE_FIELD_NUMBER: _ClassVar[int]
    place: StepPlace
    turn: int
    will_continue: bool
    def __init__(self, place: _Optional[_Union[StepPlace, _Mapping]] = ..., turn: _Optional[int] = ..., will_continue: _Optional[bool] = ...) -> None: ...
