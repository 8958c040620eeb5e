"""Translates the events of the contract: one small function for each kind, and one table of them."""

from collections.abc import Callable, Mapping

from musterd_client import events
from musterd_client.codec import (
    EnumDecoder,
    approval_from,
    approval_state_from,
    component_from,
    duration_from,
    output_from,
    struct_from,
    task_error_from,
    task_state_from,
    time_from,
    usage_from,
)
from musterd_client.event_header import Header, header_from
from musterd_client.hook_event_codec import HOOK_DECODERS
from musterd_client.team_codec import team_message_from, todo_change_from, todo_from
from musterd_client.v1 import event_pb2
from musterd_client.workflow_event_codec import WORKFLOW_DECODERS

HEARTBEAT = "heartbeat"

restart_cause_from = EnumDecoder(event_pb2.StepRestartCause, events.RestartCause, "STEP_RESTART_CAUSE_")


def event_from(message: event_pb2.RunEvent) -> events.Event | None:
    """Returns the event; None for a heartbeat, and for a kind that this client does not know."""
    decode = _DECODERS.get(message.WhichOneof("event") or "")
    return None if decode is None else decode(message, header_from(message))


def _task_started(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.task_started
    return events.TaskStarted(**header, session_id=body.session_id, parent_task_id=body.parent_task_id)


def _task_completed(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.task_completed
    return events.TaskCompleted(
        **header,
        output=output_from(body.output),
        usage=usage_from(body.usage),
        unapplied_steer_ids=tuple(body.unapplied_steer_ids),
    )


def _task_failed(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.task_failed
    return events.TaskFailed(
        **header,
        error=task_error_from(body.error),
        usage=usage_from(body.usage),
        output=output_from(body.output) if body.HasField("output") else None,
        state=task_state_from(body.state),
        unapplied_steer_ids=tuple(body.unapplied_steer_ids),
    )


def _task_canceled(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.task_canceled
    return events.TaskCanceled(
        **header,
        reason=body.reason,
        usage=usage_from(body.usage),
        output=output_from(body.output) if body.HasField("output") else None,
        unapplied_steer_ids=tuple(body.unapplied_steer_ids),
    )


def _cancel_requested(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.cancel_requested
    return events.CancelRequested(
        **header, reason=body.reason, hard=body.hard, grace_seconds=duration_from(body.grace), user_id=body.user_id
    )


def _auth_required(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.auth_required
    expire_time = time_from(body.expire_time) if body.HasField("expire_time") else None
    return events.AuthRequired(**header, expire_time=expire_time)


def _auth_renewed(message: event_pb2.RunEvent, header: Header) -> events.Event:
    return events.AuthRenewed(**header, user_id=message.auth_renewed.user_id)


def _model_request_started(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.model_request_started
    return events.ModelRequestStarted(**header, step=body.step, model=body.model)


def _model_request_completed(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.model_request_completed
    return events.ModelRequestCompleted(
        **header, step=body.step, model=body.model, usage=usage_from(body.usage), finish_reason=body.finish_reason
    )


def _text_delta(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.text_delta
    return events.TextDelta(**header, step=body.step, part_index=body.part_index, text=body.text)


def _thinking_delta(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.thinking_delta
    return events.ThinkingDelta(**header, step=body.step, part_index=body.part_index, text=body.text)


def _tool_call_arguments_delta(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.tool_call_arguments_delta
    return events.ToolCallArgumentsDelta(
        **header,
        step=body.step,
        part_index=body.part_index,
        tool_call_id=body.tool_call_id,
        tool_name=body.tool_name,
        arguments_json=body.arguments_json,
    )


def _retry_scheduled(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.retry_scheduled
    return events.RetryScheduled(
        **header,
        step=body.step,
        attempt=body.attempt,
        delay_seconds=duration_from(body.delay),
        message=body.message,
    )


def _step_restarted(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.step_restarted
    return events.StepRestarted(**header, step=body.step, cause=restart_cause_from(body.cause))


def _tool_call_started(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.tool_call_started
    return events.ToolCallStarted(
        **header,
        step=body.step,
        tool_call_id=body.tool_call_id,
        tool_name=body.tool_name,
        arguments_json=body.arguments_json,
    )


def _tool_call_completed(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.tool_call_completed
    return events.ToolCallCompleted(
        **header,
        step=body.step,
        tool_call_id=body.tool_call_id,
        tool_name=body.tool_name,
        result_json=body.result_json,
        omitted_bytes=body.omitted_bytes,
    )


def _tool_call_failed(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.tool_call_failed
    return events.ToolCallFailed(
        **header,
        step=body.step,
        tool_call_id=body.tool_call_id,
        tool_name=body.tool_name,
        message=body.message,
        will_retry=body.will_retry,
    )


def _steered(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.steered
    return events.Steered(**header, steer_id=body.steer_id, step=body.step, message=body.message, user_id=body.user_id)


def _question_asked(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.question_asked
    expire_time = time_from(body.expire_time) if body.HasField("expire_time") else None
    return events.QuestionAsked(**header, question_id=body.question_id, text=body.text, expire_time=expire_time)


def _question_answered(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.question_answered
    return events.QuestionAnswered(**header, question_id=body.question_id, answer=body.answer, user_id=body.user_id)


def _question_expired(message: event_pb2.RunEvent, header: Header) -> events.Event:
    return events.QuestionExpired(**header, question_id=message.question_expired.question_id)


def _subtask_started(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.subtask_started
    return events.SubtaskStarted(
        **header,
        subtask_id=body.subtask_id,
        subtask=component_from(body.component),
        description=body.description,
        in_background=body.in_background,
    )


def _subtask_ended(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.subtask_ended
    return events.SubtaskEnded(
        **header,
        subtask_id=body.subtask_id,
        subtask=component_from(body.component),
        state=task_state_from(body.state),
    )


def _todo_changed(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.todo_changed
    return events.TodoChanged(
        **header, change=todo_change_from(body.change), todo=todo_from(body.todo), actor=body.actor
    )


def _team_message_sent(message: event_pb2.RunEvent, header: Header) -> events.Event:
    return events.TeamMessageSent(**header, message=team_message_from(message.team_message_sent.message))


def _approval_requested(message: event_pb2.RunEvent, header: Header) -> events.Event:
    return events.ApprovalRequested(**header, approval=approval_from(message.approval_requested.approval))


def _approval_resolved(message: event_pb2.RunEvent, header: Header) -> events.Event:
    body = message.approval_resolved
    return events.ApprovalResolved(
        **header,
        approval_id=body.approval_id,
        state=approval_state_from(body.state),
        reason=body.reason,
        arguments_json=body.arguments_json,
        result_json=body.result_json,
        user_id=body.user_id,
    )


def _custom(message: event_pb2.RunEvent, header: Header) -> events.Event:
    return events.Custom(**header, type=message.custom.type, payload=struct_from(message.custom.payload))


_DECODERS: Mapping[str, Callable[[event_pb2.RunEvent, Header], events.Event]] = {
    events.TaskStarted.kind: _task_started,
    events.TaskCompleted.kind: _task_completed,
    events.TaskFailed.kind: _task_failed,
    events.TaskCanceled.kind: _task_canceled,
    events.CancelRequested.kind: _cancel_requested,
    events.AuthRequired.kind: _auth_required,
    events.AuthRenewed.kind: _auth_renewed,
    events.ModelRequestStarted.kind: _model_request_started,
    events.ModelRequestCompleted.kind: _model_request_completed,
    events.TextDelta.kind: _text_delta,
    events.ThinkingDelta.kind: _thinking_delta,
    events.ToolCallArgumentsDelta.kind: _tool_call_arguments_delta,
    events.RetryScheduled.kind: _retry_scheduled,
    events.StepRestarted.kind: _step_restarted,
    events.ToolCallStarted.kind: _tool_call_started,
    events.ToolCallCompleted.kind: _tool_call_completed,
    events.ToolCallFailed.kind: _tool_call_failed,
    events.Steered.kind: _steered,
    events.QuestionAsked.kind: _question_asked,
    events.QuestionAnswered.kind: _question_answered,
    events.QuestionExpired.kind: _question_expired,
    events.SubtaskStarted.kind: _subtask_started,
    events.SubtaskEnded.kind: _subtask_ended,
    events.TodoChanged.kind: _todo_changed,
    events.TeamMessageSent.kind: _team_message_sent,
    events.ApprovalRequested.kind: _approval_requested,
    events.ApprovalResolved.kind: _approval_resolved,
    events.Custom.kind: _custom,
    **HOOK_DECODERS,
    **WORKFLOW_DECODERS,
}
