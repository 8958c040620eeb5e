"""How values become bytes in rows, the same in every adapter: compact JSON, and a kind for each class of event."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, TypeVar, cast, get_args

import pydantic
from pydantic import ConfigDict, TypeAdapter

from musterd.domain import event, workflow_event
from musterd.domain.board import BoardMember, TeamMessage, Todo
from musterd.domain.event import DeltaEvent, Payload
from musterd.domain.orders import CancelOrder
from musterd.domain.task import Approval, Output, TaskError, TaskSpec, Usage, UsageLimits
from musterd.store.errors import UnreadableRowError

T = TypeVar("T")

SPEC_FORMAT = 1
STEP_FORMAT = 1
EVENT_FORMAT = 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_CONFIG = ConfigDict(defer_build=True, ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")


class JsonCodec(Generic[T]):
    """Turns values of one type into JSON bytes and back.

    A `flat` type has no mappings: it is encoded faster, without regard for those that are no dict.
    """

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]

    def __init__(self, value_type: type[T], *, flat: bool = False) -> None:
        # pydantic takes a configuration for a union, but not for a bare dataclass.
        adapter = TypeAdapter[T](cast("type[T]", value_type | None), config=_CONFIG)
        # The domain's recursive alias of JSON values is nothing that pydantic can follow; its own is the same.
        adapter.rebuild(_types_namespace={"JsonValue": pydantic.JsonValue})
        # The methods of the adapter itself take twice as long.
        encode = adapter.serializer.to_json
        self.encode = encode if flat else partial(encode, fallback=_to_dict, warnings=False)
        self.decode = adapter.validator.validate_json


def _to_dict(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    raise TypeError(f"a value of type {type(value).__name__} cannot be stored as JSON")


SPEC = JsonCodec(TaskSpec)
USAGE = JsonCodec(Usage)
OUTPUT = JsonCodec(Output)
ERROR = JsonCodec(TaskError)
USAGE_LIMITS = JsonCodec(UsageLimits)
CANCEL_ORDER = JsonCodec(CancelOrder)
APPROVAL = JsonCodec(Approval)
BOARD_MEMBERS = JsonCodec(tuple[BoardMember, ...])
TODO = JsonCodec(Todo)
TEAM_MESSAGE = JsonCodec(TeamMessage)
TEXT = JsonCodec(str)
TEXTS = JsonCodec(tuple[str, ...])
LABELS = JsonCodec(dict[str, str])

KINDS: dict[type[Payload], str] = {
    event.TaskStarted: "task_started",
    event.TaskCompleted: "task_completed",
    event.TaskFailed: "task_failed",
    event.TaskCanceled: "task_canceled",
    event.CancelRequested: "cancel_requested",
    event.AuthRequired: "auth_required",
    event.AuthRenewed: "auth_renewed",
    event.ModelRequestStarted: "model_request_started",
    event.ModelRequestCompleted: "model_request_completed",
    event.TextDelta: "text_delta",
    event.ThinkingDelta: "thinking_delta",
    event.ToolCallArgumentsDelta: "tool_call_arguments_delta",
    event.RetryScheduled: "retry_scheduled",
    event.StepRestarted: "step_restarted",
    event.ToolCallStarted: "tool_call_started",
    event.ToolCallCompleted: "tool_call_completed",
    event.ToolCallFailed: "tool_call_failed",
    event.Steered: "steered",
    event.SubtaskStarted: "subtask_started",
    event.SubtaskEnded: "subtask_ended",
    event.QuestionAsked: "question_asked",
    event.QuestionAnswered: "question_answered",
    event.QuestionExpired: "question_expired",
    event.TodoChanged: "todo_changed",
    event.TeamMessageSent: "team_message_sent",
    event.ApprovalRequested: "approval_requested",
    event.ApprovalResolved: "approval_resolved",
    event.HookStarted: "hook_started",
    event.HookCompleted: "hook_completed",
    event.HookFailed: "hook_failed",
    workflow_event.StepStarted: "step_started",
    workflow_event.StepCompleted: "step_completed",
    workflow_event.StepFailed: "step_failed",
    workflow_event.StepSkipped: "step_skipped",
    workflow_event.BranchChosen: "branch_chosen",
    workflow_event.LoopTurned: "loop_turned",
    event.Custom: "custom",
}
"""The kind of every payload class, as stored: never change one."""


_PAYLOAD_CODECS = {
    payload_type: JsonCodec(payload_type, flat=payload_type in get_args(DeltaEvent)) for payload_type in KINDS
}

PAYLOAD_ENCODERS = {
    payload_type: (KINDS[payload_type], codec.encode) for payload_type, codec in _PAYLOAD_CODECS.items()
}
"""The kind of each payload class, and what turns it into JSON: a table and no function, for it is the hot path."""

_PAYLOAD_DECODERS = {KINDS[payload_type]: codec.decode for payload_type, codec in _PAYLOAD_CODECS.items()}


def decode_payload(kind: str, row_format: int, data: bytes) -> Payload:
    """Return the payload of a stored event. Raises UnreadableRowError for a kind that this version does not know."""
    check_format("event", row_format, EVENT_FORMAT)
    decode = _PAYLOAD_DECODERS.get(kind)
    if decode is None:
        raise UnreadableRowError(f"an event has the kind {kind!r}, which this version does not know")
    return decode(data)


def check_format(what: str, row_format: int, known_format: int) -> None:
    """Raise UnreadableRowError unless the row has the format that this version writes."""
    if row_format != known_format:
        raise UnreadableRowError(f"the row of this {what} has format {row_format}, this version reads {known_format}")


def to_micros(time: datetime) -> int:
    """Return a time as whole microseconds since 1970, as rows have it."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time, in UTC, that a row has as microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)
