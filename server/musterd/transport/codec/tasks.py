"""Encodes tasks and what they hold."""

from datetime import UTC, datetime, timedelta
from typing import cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from musterd.domain.errors import Reason
from musterd.domain.task import (
    Approval,
    ApprovalKind,
    ApprovalState,
    ComponentKind,
    ComponentRef,
    Output,
    Priority,
    Question,
    Task,
    TaskError,
    TaskState,
    Usage,
)
from musterd_client.v1 import component_pb2, error_pb2, task_pb2

STATE_TO_WIRE = {
    each: cast("task_pb2.TaskState", task_pb2.TaskState.Value(f"TASK_STATE_{each.name}")) for each in TaskState
}
STATE_FROM_WIRE: dict[int, TaskState] = {number: each for each, number in STATE_TO_WIRE.items()}
PRIORITY_TO_WIRE = {
    each: cast("task_pb2.Priority", task_pb2.Priority.Value(f"PRIORITY_{each.name}")) for each in Priority
}
PRIORITY_FROM_WIRE: dict[int, Priority] = {number: each for each, number in PRIORITY_TO_WIRE.items()}
KIND_TO_WIRE = {
    each: cast("component_pb2.ComponentKind", component_pb2.ComponentKind.Value(f"COMPONENT_KIND_{each.name}"))
    for each in ComponentKind
}
KIND_FROM_WIRE: dict[int, ComponentKind] = {number: each for each, number in KIND_TO_WIRE.items()}
APPROVAL_KIND_TO_WIRE = {
    each: cast("task_pb2.ApprovalKind", task_pb2.ApprovalKind.Value(f"APPROVAL_KIND_{each.name}"))
    for each in ApprovalKind
}
APPROVAL_STATE_TO_WIRE = {
    each: cast("task_pb2.ApprovalState", task_pb2.ApprovalState.Value(f"APPROVAL_STATE_{each.name}"))
    for each in ApprovalState
}
REASON_TO_WIRE = {
    each: cast("error_pb2.ErrorReason", error_pb2.ErrorReason.Value(f"ERROR_REASON_{each.name}")) for each in Reason
}


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Encode a time; None stays absent."""
    if moment is None:
        return None
    micros = (moment - EPOCH) // MICROSECOND
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)


def duration(seconds: float) -> Duration:
    """Encode a length of time."""
    encoded = Duration()
    encoded.FromNanoseconds(round(seconds * 1e9))
    return encoded


def encode_ref(ref: ComponentRef) -> component_pb2.ComponentRef:
    """Encode the name of a component."""
    return component_pb2.ComponentRef(kind=KIND_TO_WIRE[ref.kind], id=ref.id)


def encode_usage(usage: Usage) -> task_pb2.Usage:
    """Encode what a run spent."""
    return task_pb2.Usage(
        requests=usage.requests,
        tool_calls=usage.tool_calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        # To set a map, an empty one too, takes longer than all the rest.
        details=usage.details or None,
    )


def encode_output(output: Output | None) -> task_pb2.Output | None:
    """Encode a result; None stays absent."""
    if output is None:
        return None
    return task_pb2.Output(text=output.text, json=output.json, partial=output.partial)


def encode_error(error: TaskError | None) -> task_pb2.TaskError | None:
    """Encode why a task did not complete; None stays absent."""
    if error is None:
        return None
    return task_pb2.TaskError(
        reason=REASON_TO_WIRE[error.reason], message=error.message, error_id=error.error_id, cause=error.cause
    )


def encode_task(task: Task) -> task_pb2.Task:
    """Encode a task's row."""
    return task_pb2.Task(
        task_id=task.task_id,
        root_task_id=task.root_task_id,
        parent_task_id=task.parent_task_id,
        component=encode_ref(task.component),
        state=STATE_TO_WIRE[task.state],
        tenant_id=task.tenant_id,
        user_id=task.user_id,
        session_id=task.session_id,
        priority=PRIORITY_TO_WIRE[task.priority],
        attempt=task.attempt,
        create_time=timestamp(task.create_time),
        start_time=timestamp(task.start_time),
        update_time=timestamp(task.update_time),
        end_time=timestamp(task.end_time),
        usage=encode_usage(task.usage),
        output=encode_output(task.output),
        error=encode_error(task.error),
        last_sequence=task.last_sequence,
        request_id=task.request_id,
        metadata=task.labels or None,
        description=task.description,
        outlives_parent=task.outlives_parent,
        tree_usage=None if task.tree_usage is None else encode_usage(task.tree_usage),
        questions=[_encode_question(question) for question in task.questions],
        approvals=[_encode_approval(approval) for approval in task.approvals],
    )


def _encode_question(question: Question) -> task_pb2.Question:
    return task_pb2.Question(
        question_id=question.question_id,
        text=question.text,
        create_time=timestamp(question.create_time),
        expire_time=timestamp(question.expire_time),
    )


def _encode_approval(approval: Approval) -> task_pb2.Approval:
    return task_pb2.Approval(
        approval_id=approval.approval_id,
        task_id=approval.task_id,
        kind=APPROVAL_KIND_TO_WIRE[approval.kind],
        state=APPROVAL_STATE_TO_WIRE[approval.state],
        step=approval.step,
        tool_call_id=approval.tool_call_id,
        tool_name=approval.tool_name,
        arguments_json=approval.arguments_json,
        text=approval.text,
        create_time=timestamp(approval.create_time),
        expire_time=timestamp(approval.expire_time),
    )
