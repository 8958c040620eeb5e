"""Encodes events: one small function a kind, found by the payload's class."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp

from musterd.domain import event as domain
from musterd.domain.task import ComponentRef
from musterd.transport.codec.boards import encode_message, encode_todo
from musterd.transport.codec.hook_events import HOOK_ENCODERS
from musterd.transport.codec.tasks import (
    APPROVAL_KIND_TO_WIRE,
    APPROVAL_STATE_TO_WIRE,
    STATE_TO_WIRE,
    duration,
    encode_error,
    encode_output,
    encode_ref,
    encode_usage,
    timestamp,
)
from musterd.transport.codec.workflow_events import WORKFLOW_ENCODERS
from musterd_client.v1 import component_pb2, event_pb2, task_pb2

RESTART_CAUSE_TO_WIRE = {
    each: cast("event_pb2.StepRestartCause", event_pb2.StepRestartCause.Value(f"STEP_RESTART_CAUSE_{each.name}"))
    for each in domain.RestartCause
}
TODO_CHANGE_TO_WIRE = {
    each: cast("event_pb2.TodoChange", event_pb2.TodoChange.Value(f"TODO_CHANGE_{each.name}"))
    for each in domain.TodoChange
}

Fields = dict[str, Any]


def _task_started(payload: domain.TaskStarted) -> Fields:
    message = event_pb2.TaskStarted(session_id=payload.session_id, parent_task_id=payload.parent_task_id)
    return {"task_started": message}


def _task_completed(payload: domain.TaskCompleted) -> Fields:
    message = event_pb2.TaskCompleted(
        output=encode_output(payload.output),
        usage=encode_usage(payload.usage),
        unapplied_steer_ids=payload.unapplied_steer_ids,
    )
    return {"task_completed": message}


def _task_failed(payload: domain.TaskFailed) -> Fields:
    message = event_pb2.TaskFailed(
        error=encode_error(payload.error),
        usage=encode_usage(payload.usage),
        output=encode_output(payload.output),
        state=STATE_TO_WIRE[payload.state],
        unapplied_steer_ids=payload.unapplied_steer_ids,
    )
    return {"task_failed": message}


def _task_canceled(payload: domain.TaskCanceled) -> Fields:
    message = event_pb2.TaskCanceled(
        reason=payload.reason,
        usage=encode_usage(payload.usage),
        output=encode_output(payload.output),
        unapplied_steer_ids=payload.unapplied_steer_ids,
    )
    return {"task_canceled": message}


def _cancel_requested(payload: domain.CancelRequested) -> Fields:
    message = event_pb2.CancelRequested(
        reason=payload.reason, hard=payload.hard, grace=duration(payload.grace_seconds), user_id=payload.user_id
    )
    return {"cancel_requested": message}


def _auth_required(payload: domain.AuthRequired) -> Fields:
    return {"auth_required": event_pb2.AuthRequired(expire_time=timestamp(payload.expired_at))}


def _auth_renewed(payload: domain.AuthRenewed) -> Fields:
    return {"auth_renewed": event_pb2.AuthRenewed(user_id=payload.user_id)}


def _model_request_started(payload: domain.ModelRequestStarted) -> Fields:
    return {"model_request_started": event_pb2.ModelRequestStarted(step=payload.step, model=payload.model)}


def _model_request_completed(payload: domain.ModelRequestCompleted) -> Fields:
    message = event_pb2.ModelRequestCompleted(
        step=payload.step,
        model=payload.model,
        usage=encode_usage(payload.usage),
        finish_reason=payload.finish_reason,
    )
    return {"model_request_completed": message}


def _text_delta(payload: domain.TextDelta) -> Fields:
    message = event_pb2.TextDelta(step=payload.step, part_index=payload.part_index, text=payload.text)
    return {"text_delta": message}


def _thinking_delta(payload: domain.ThinkingDelta) -> Fields:
    message = event_pb2.ThinkingDelta(step=payload.step, part_index=payload.part_index, text=payload.text)
    return {"thinking_delta": message}


def _arguments_delta(payload: domain.ToolCallArgumentsDelta) -> Fields:
    message = event_pb2.ToolCallArgumentsDelta(
        step=payload.step,
        part_index=payload.part_index,
        tool_call_id=payload.tool_call_id,
        tool_name=payload.tool_name,
        arguments_json=payload.arguments_json,
    )
    return {"tool_call_arguments_delta": message}


def _retry_scheduled(payload: domain.RetryScheduled) -> Fields:
    message = event_pb2.RetryScheduled(
        step=payload.step,
        attempt=payload.attempt,
        delay=duration(payload.delay_seconds),
        message=payload.message,
    )
    return {"retry_scheduled": message}


def _step_restarted(payload: domain.StepRestarted) -> Fields:
    return {"step_restarted": event_pb2.StepRestarted(step=payload.step, cause=RESTART_CAUSE_TO_WIRE[payload.cause])}


def _tool_call_started(payload: domain.ToolCallStarted) -> Fields:
    message = event_pb2.ToolCallStarted(
        step=payload.step,
        tool_call_id=payload.tool_call_id,
        tool_name=payload.tool_name,
        arguments_json=payload.arguments_json,
    )
    return {"tool_call_started": message}


def _tool_call_completed(payload: domain.ToolCallCompleted) -> Fields:
    message = event_pb2.ToolCallCompleted(
        step=payload.step,
        tool_call_id=payload.tool_call_id,
        tool_name=payload.tool_name,
        result_json=payload.result_json,
        omitted_bytes=payload.omitted_bytes,
    )
    return {"tool_call_completed": message}


def _tool_call_failed(payload: domain.ToolCallFailed) -> Fields:
    message = event_pb2.ToolCallFailed(
        step=payload.step,
        tool_call_id=payload.tool_call_id,
        tool_name=payload.tool_name,
        message=payload.message,
        will_retry=payload.will_retry,
    )
    return {"tool_call_failed": message}


def _steered(payload: domain.Steered) -> Fields:
    message = event_pb2.Steered(
        steer_id=payload.steer_id, step=payload.step, message=payload.message, user_id=payload.user_id
    )
    return {"steered": message}


def _question_asked(payload: domain.QuestionAsked) -> Fields:
    message = event_pb2.QuestionAsked(
        question_id=payload.question_id, text=payload.text, expire_time=timestamp(payload.expire_time)
    )
    return {"question_asked": message}


def _question_answered(payload: domain.QuestionAnswered) -> Fields:
    message = event_pb2.QuestionAnswered(
        question_id=payload.question_id, answer=payload.answer, user_id=payload.user_id
    )
    return {"question_answered": message}


def _question_expired(payload: domain.QuestionExpired) -> Fields:
    return {"question_expired": event_pb2.QuestionExpired(question_id=payload.question_id)}


def _subtask_started(payload: domain.SubtaskStarted) -> Fields:
    message = event_pb2.SubtaskStarted(
        subtask_id=payload.subtask_id,
        component=encode_ref(payload.component),
        description=payload.description,
        in_background=payload.in_background,
    )
    return {"subtask_started": message}


def _subtask_ended(payload: domain.SubtaskEnded) -> Fields:
    message = event_pb2.SubtaskEnded(
        subtask_id=payload.subtask_id, component=encode_ref(payload.component), state=STATE_TO_WIRE[payload.state]
    )
    return {"subtask_ended": message}


def _todo_changed(payload: domain.TodoChanged) -> Fields:
    message = event_pb2.TodoChanged(
        change=TODO_CHANGE_TO_WIRE[payload.change], todo=encode_todo(payload.todo), actor=payload.actor
    )
    return {"todo_changed": message}


def _team_message_sent(payload: domain.TeamMessageSent) -> Fields:
    return {"team_message_sent": event_pb2.TeamMessageSent(message=encode_message(payload.message))}


def _approval_requested(payload: domain.ApprovalRequested) -> Fields:
    approval = task_pb2.Approval(
        approval_id=payload.approval_id,
        kind=APPROVAL_KIND_TO_WIRE[payload.kind],
        state=task_pb2.APPROVAL_STATE_OPEN,
        step=payload.step,
        tool_call_id=payload.tool_call_id,
        tool_name=payload.tool_name,
        arguments_json=payload.arguments_json,
        text=payload.text,
        expire_time=timestamp(payload.expire_time),
    )
    return {"approval_requested": event_pb2.ApprovalRequested(approval=approval)}


def _approval_resolved(payload: domain.ApprovalResolved) -> Fields:
    message = event_pb2.ApprovalResolved(
        approval_id=payload.approval_id,
        state=APPROVAL_STATE_TO_WIRE[payload.state],
        reason=payload.reason,
        arguments_json=payload.arguments_json,
        result_json=payload.result_json,
        user_id=payload.user_id,
    )
    return {"approval_resolved": message}


def _custom(payload: domain.Custom) -> Fields:
    message = event_pb2.Custom(type=payload.type)
    message.payload.update(payload.payload)
    return {"custom": message}


ENCODERS: Mapping[type[domain.Payload], Callable[[Any], Fields]] = {
    domain.TaskStarted: _task_started,
    domain.TaskCompleted: _task_completed,
    domain.TaskFailed: _task_failed,
    domain.TaskCanceled: _task_canceled,
    domain.CancelRequested: _cancel_requested,
    domain.AuthRequired: _auth_required,
    domain.AuthRenewed: _auth_renewed,
    domain.ModelRequestStarted: _model_request_started,
    domain.ModelRequestCompleted: _model_request_completed,
    domain.TextDelta: _text_delta,
    domain.ThinkingDelta: _thinking_delta,
    domain.ToolCallArgumentsDelta: _arguments_delta,
    domain.RetryScheduled: _retry_scheduled,
    domain.StepRestarted: _step_restarted,
    domain.ToolCallStarted: _tool_call_started,
    domain.ToolCallCompleted: _tool_call_completed,
    domain.ToolCallFailed: _tool_call_failed,
    domain.Steered: _steered,
    domain.QuestionAsked: _question_asked,
    domain.QuestionAnswered: _question_answered,
    domain.QuestionExpired: _question_expired,
    domain.SubtaskStarted: _subtask_started,
    domain.SubtaskEnded: _subtask_ended,
    domain.TodoChanged: _todo_changed,
    domain.TeamMessageSent: _team_message_sent,
    domain.ApprovalRequested: _approval_requested,
    domain.ApprovalResolved: _approval_resolved,
    domain.Custom: _custom,
    **HOOK_ENCODERS,
    **WORKFLOW_ENCODERS,
}
"""Every kind of event: a test demands it."""


class EventEncoder:
    """Encodes the events of one stream; keeps what neighbors share, for most of a stream is deltas of one task."""

    def __init__(self) -> None:
        self._ref: ComponentRef | None = None
        self._encoded_ref: component_pb2.ComponentRef | None = None
        self._moment: datetime | None = None
        self._encoded_moment: Timestamp | None = None

    def encode(self, event: domain.Event) -> event_pb2.RunEvent:
        """Encode one stored event."""
        payload = event.payload
        if event.component is not self._ref:
            self._ref, self._encoded_ref = event.component, encode_ref(event.component)
        if event.create_time is not self._moment:
            self._moment, self._encoded_moment = event.create_time, timestamp(event.create_time)
        message = event_pb2.RunEvent(
            task_id=event.task_id,
            sequence=event.sequence,
            create_time=self._encoded_moment,
            component=self._encoded_ref,
            **ENCODERS[type(payload)](payload),
        )
        if type(payload) is domain.ApprovalRequested:
            # A task's approvals tell these; in the log the event itself does.
            approval = message.approval_requested.approval
            approval.task_id = event.task_id
            approval.create_time.CopyFrom(message.create_time)
        return message


def heartbeat(task_id: str, last_sequence: int) -> event_pb2.RunEvent:
    """Return the event that tells a reader that its stream is alive."""
    return event_pb2.RunEvent(task_id=task_id, heartbeat=event_pb2.Heartbeat(last_sequence=last_sequence))
