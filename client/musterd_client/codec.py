"""Translates the values of the model to messages of the contract, and back."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Generic, TypeVar, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from musterd_client import approval_model, model
from musterd_client.v1 import (
    component_pb2,
    error_pb2,
    run_pb2,
    server_service_pb2,
    task_pb2,
    task_service_pb2,
)

EnumT = TypeVar("EnumT", bound=StrEnum)

_NANOSECONDS_PER_SECOND = 1_000_000_000
_MAX_EXACT_INTEGER = 2**53


class EnumDecoder(Generic[EnumT]):
    """Maps the numbers of an enum of the contract to its twin here; numbers without one map to the twin's UNKNOWN."""

    def __init__(self, contract: EnumTypeWrapper, twin: type[EnumT], prefix: str) -> None:
        names = {number: name.removeprefix(prefix) for name, number in contract.items()}
        self._members = {number: twin[name] for number, name in names.items() if name in twin.__members__}
        self._unknown = twin["UNKNOWN"]

    def __call__(self, number: int) -> EnumT:
        """Returns the twin of the number."""
        return self._members.get(number, self._unknown)


task_state_from = EnumDecoder(task_pb2.TaskState, model.TaskState, "TASK_STATE_")
priority_from = EnumDecoder(task_pb2.Priority, model.Priority, "PRIORITY_")
component_kind_from = EnumDecoder(component_pb2.ComponentKind, model.ComponentKind, "COMPONENT_KIND_")
approval_kind_from = EnumDecoder(task_pb2.ApprovalKind, approval_model.ApprovalKind, "APPROVAL_KIND_")
approval_state_from = EnumDecoder(task_pb2.ApprovalState, approval_model.ApprovalState, "APPROVAL_STATE_")
cancel_outcome_from = EnumDecoder(task_service_pb2.CancelOutcome, model.CancelOutcome, "CANCEL_OUTCOME_")
steer_outcome_from = EnumDecoder(task_service_pb2.SteerOutcome, model.SteerOutcome, "STEER_OUTCOME_")

_REASONS = {number: name.removeprefix("ERROR_REASON_") for name, number in error_pb2.ErrorReason.items() if number != 0}


def reason_from(number: int) -> str:
    """Returns the name of an ErrorReason without its prefix; for one of a newer server, UNKNOWN and its number."""
    return _REASONS.get(number, f"UNKNOWN_{number}")


def enum_name(prefix: str, member: StrEnum | None) -> str:
    """Returns the contract's name of an enum value; that of its default for None."""
    return prefix + ("UNSPECIFIED" if member is None else member.value)


def time_from(timestamp: Timestamp) -> datetime:
    """Returns the time in UTC, in whole microseconds."""
    return timestamp.ToDatetime(tzinfo=UTC)


def duration_to(seconds: float | None) -> Duration | None:
    """Returns the duration; None, which leaves the field absent, for None.

    Raises:
        ValueError, OverflowError: it is no number of seconds that the contract can carry.
    """
    if seconds is None:
        return None
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is no length of time; None leaves it to the server")
    duration = Duration()
    duration.FromNanoseconds(round(seconds * _NANOSECONDS_PER_SECOND))
    return duration


def duration_from(duration: Duration) -> float:
    """Returns the duration in seconds."""
    return duration.ToNanoseconds() / _NANOSECONDS_PER_SECOND


def struct_to(fields: Mapping[str, object]) -> Struct:
    """Returns the JSON object as a Struct.

    Raises:
        ValueError: it is not a JSON object, or has an integer that a double cannot hold (beyond ±2^53).
    """
    value = _value_to(fields, "")
    if not value.HasField("struct_value"):
        raise ValueError(f"{type(fields).__name__} is not a JSON object")
    return value.struct_value


def _value_to(value: object, path: str) -> Value:
    match value:
        case Mapping():
            fields = cast("Mapping[object, object]", value)
            named = {name: item for name, item in fields.items() if isinstance(name, str)}
            if len(named) < len(fields):
                raise ValueError(f"{path or 'the object'}: a name in a JSON object is a string")
            inner = {name: _value_to(item, f"{path}.{name}" if path else name) for name, item in named.items()}
            return Value(struct_value=Struct(fields=inner))
        case Sequence() if not isinstance(value, str | bytes | bytearray | memoryview):
            items = cast("Sequence[object]", value)
            values = [_value_to(item, f"{path}.{index}") for index, item in enumerate(items)]
            return Value(list_value=ListValue(values=values))
        case _:
            return _scalar_to(value, path)


def _scalar_to(value: object, path: str) -> Value:
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() if abs(value) > _MAX_EXACT_INTEGER:
            raise ValueError(f"{path}: {value} does not fit a JSON number of the contract; send it as a string")
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case _:
            raise ValueError(f"{path or 'the object'}: {type(value).__name__} is not a JSON value")


def struct_from(struct: Struct) -> dict[str, model.JsonValue]:
    """Returns the JSON object. Integral doubles within ±2^53 become int."""
    return {name: _value_from(value) for name, value in struct.fields.items()}


def _value_from(value: Value) -> model.JsonValue:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT_INTEGER else number
        case "string_value":
            return value.string_value
        case "struct_value":
            return struct_from(value.struct_value)
        case "list_value":
            return [_value_from(item) for item in value.list_value.values]
        case _:
            return None


def component_from(message: component_pb2.ComponentRef) -> model.ComponentRef:
    """Returns the component's kind and id."""
    return model.ComponentRef(kind=component_kind_from(message.kind), id=message.id)


def usage_from(message: task_pb2.Usage) -> model.Usage:
    """Returns the counters."""
    return model.Usage(
        requests=message.requests,
        tool_calls=message.tool_calls,
        input_tokens=message.input_tokens,
        output_tokens=message.output_tokens,
        cache_read_tokens=message.cache_read_tokens,
        cache_write_tokens=message.cache_write_tokens,
        details=dict(message.details),
    )


def output_from(message: task_pb2.Output) -> model.Output:
    """Returns the result."""
    return model.Output(text=message.text, json=message.json, partial=message.partial)


def task_error_from(message: task_pb2.TaskError) -> model.TaskError:
    """Returns why a task did not complete."""
    return model.TaskError(
        reason=reason_from(message.reason), message=message.message, error_id=message.error_id, cause=message.cause
    )


def question_from(message: task_pb2.Question) -> model.Question:
    """Returns the question."""
    return model.Question(
        question_id=message.question_id,
        text=message.text,
        create_time=time_from(message.create_time) if message.HasField("create_time") else None,
        expire_time=time_from(message.expire_time) if message.HasField("expire_time") else None,
    )


def approval_from(message: task_pb2.Approval) -> approval_model.Approval:
    """Returns the approval."""
    return approval_model.Approval(
        approval_id=message.approval_id,
        task_id=message.task_id,
        kind=approval_kind_from(message.kind),
        state=approval_state_from(message.state),
        step=message.step,
        tool_call_id=message.tool_call_id,
        tool_name=message.tool_name,
        arguments_json=message.arguments_json,
        text=message.text,
        create_time=time_from(message.create_time) if message.HasField("create_time") else None,
        expire_time=time_from(message.expire_time) if message.HasField("expire_time") else None,
    )


def resolution_to(resolution: approval_model.Resolution) -> task_service_pb2.Resolution:
    """Returns the decision as a message."""
    return task_service_pb2.Resolution(
        approval_id=resolution.approval_id,
        verdict=enum_name("VERDICT_", resolution.verdict),
        reason=resolution.reason,
        arguments_json=resolution.arguments_json,
        result_json=resolution.result_json,
    )


def task_from(message: task_pb2.Task) -> model.Task:
    """Returns the task."""
    return model.Task(
        task_id=message.task_id,
        root_task_id=message.root_task_id,
        parent_task_id=message.parent_task_id,
        component=component_from(message.component),
        state=task_state_from(message.state),
        tenant_id=message.tenant_id,
        user_id=message.user_id,
        session_id=message.session_id,
        priority=priority_from(message.priority),
        attempt=message.attempt,
        create_time=time_from(message.create_time) if message.HasField("create_time") else None,
        start_time=time_from(message.start_time) if message.HasField("start_time") else None,
        update_time=time_from(message.update_time) if message.HasField("update_time") else None,
        end_time=time_from(message.end_time) if message.HasField("end_time") else None,
        usage=usage_from(message.usage),
        output=output_from(message.output) if message.HasField("output") else None,
        error=task_error_from(message.error) if message.HasField("error") else None,
        last_sequence=message.last_sequence,
        request_id=message.request_id,
        metadata=dict(message.metadata),
        description=message.description,
        outlives_parent=message.outlives_parent,
        tree_usage=usage_from(message.tree_usage) if message.HasField("tree_usage") else None,
        questions=tuple(question_from(question) for question in message.questions),
        approvals=tuple(approval_from(approval) for approval in message.approvals),
    )


def agent_from(message: component_pb2.Agent) -> model.Agent:
    """Returns the agent with its tools."""
    return model.Agent(
        agent_id=message.agent_id,
        name=message.name,
        description=message.description,
        is_factory=message.is_factory,
        input_schema_json=message.input_schema_json,
        tools=tuple(
            model.Tool(name=tool.name, description=tool.description, parameters_schema_json=tool.parameters_schema_json)
            for tool in message.tools
        ),
    )


def server_info_from(message: server_service_pb2.GetServerInfoResponse) -> model.ServerInfo:
    """Returns the server's facts."""
    limits = message.limits
    return model.ServerInfo(
        version=message.version,
        features=tuple(message.features),
        limits=model.ServerLimits(
            max_message_bytes=limits.max_message_bytes,
            max_running_tasks=limits.max_running_tasks,
            max_wait_tasks=limits.max_wait_tasks,
            max_page_size=limits.max_page_size,
            max_run_timeout_seconds=(
                duration_from(limits.max_run_timeout) if limits.HasField("max_run_timeout") else None
            ),
            max_requests_per_run=limits.max_requests_per_run,
            max_reader_lag_events=limits.max_reader_lag_events,
        ),
    )


def part_to(part: model.Part) -> run_pb2.Part:
    """Returns the part as a message.

    Raises:
        TypeError: it is none of them.
    """
    match part:
        case model.TextPart():
            return run_pb2.Part(name=part.name, media_type=part.media_type, text=part.text)
        case model.DataPart():
            return run_pb2.Part(name=part.name, media_type=part.media_type, data=part.data)
        case model.UriPart():
            return run_pb2.Part(name=part.name, media_type=part.media_type, uri=part.uri)
        case _:
            raise TypeError(f"a part is a TextPart, a DataPart or a UriPart, not {type(part).__name__}")


def usage_limits_to(limits: model.UsageLimits | None) -> run_pb2.UsageLimits | None:
    """Returns the limits as a message; None, which leaves the field absent, for None."""
    if limits is None:
        return None
    return run_pb2.UsageLimits(
        requests=limits.requests,
        tool_calls=limits.tool_calls,
        input_tokens=limits.input_tokens,
        output_tokens=limits.output_tokens,
        total_tokens=limits.total_tokens,
    )
