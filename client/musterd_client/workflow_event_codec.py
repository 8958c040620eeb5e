"""Translates the events of workflows: one small function for each kind, and one table of them."""

from collections.abc import Callable, Mapping

from musterd_client import workflow_events as events
from musterd_client.event_header import Header
from musterd_client.v1 import event_pb2
from musterd_client.workflow_codec import step_place_from, workflow_step_kind_from

WorkflowEvent = (
    events.StepStarted
    | events.StepCompleted
    | events.StepFailed
    | events.StepSkipped
    | events.BranchChosen
    | events.LoopTurned
)


def _step_started(message: event_pb2.RunEvent, header: Header) -> events.StepStarted:
    body = message.step_started
    return events.StepStarted(
        **header,
        place=step_place_from(body.place),
        step_kind=workflow_step_kind_from(body.kind),
        attempt=body.attempt,
        subtask_id=body.subtask_id,
    )


def _step_completed(message: event_pb2.RunEvent, header: Header) -> events.StepCompleted:
    body = message.step_completed
    return events.StepCompleted(
        **header,
        place=step_place_from(body.place),
        attempt=body.attempt,
        output=body.output,
        omitted_bytes=body.omitted_bytes,
        stops_workflow=body.stops_workflow,
    )


def _step_failed(message: event_pb2.RunEvent, header: Header) -> events.StepFailed:
    body = message.step_failed
    return events.StepFailed(
        **header,
        place=step_place_from(body.place),
        attempt=body.attempt,
        message=body.message,
        will_retry=body.will_retry,
        is_skipped=body.is_skipped,
    )


def _step_skipped(message: event_pb2.RunEvent, header: Header) -> events.StepSkipped:
    body = message.step_skipped
    return events.StepSkipped(**header, place=step_place_from(body.place), reason=body.reason)


def _branch_chosen(message: event_pb2.RunEvent, header: Header) -> events.BranchChosen:
    body = message.branch_chosen
    return events.BranchChosen(**header, place=step_place_from(body.place), choices=tuple(body.choices))


def _loop_turned(message: event_pb2.RunEvent, header: Header) -> events.LoopTurned:
    body = message.loop_turned
    return events.LoopTurned(
        **header, place=step_place_from(body.place), turn=body.turn, will_continue=body.will_continue
    )


WORKFLOW_DECODERS: Mapping[str, Callable[[event_pb2.RunEvent, Header], WorkflowEvent]] = {
    events.StepStarted.kind: _step_started,
    events.StepCompleted.kind: _step_completed,
    events.StepFailed.kind: _step_failed,
    events.StepSkipped.kind: _step_skipped,
    events.BranchChosen.kind: _branch_chosen,
    events.LoopTurned.kind: _loop_turned,
}
