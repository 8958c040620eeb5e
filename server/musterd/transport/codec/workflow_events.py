"""Encodes the events of workflows."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from musterd.domain import workflow_event as domain
from musterd_client.v1 import component_pb2, event_pb2

Fields = dict[str, Any]
WorkflowPayload = (
    domain.StepStarted
    | domain.StepCompleted
    | domain.StepFailed
    | domain.StepSkipped
    | domain.BranchChosen
    | domain.LoopTurned
)


def encode_step_kind(kind: str) -> component_pb2.WorkflowStepKind:
    """Encode what a step is."""
    number = component_pb2.WorkflowStepKind.Value(f"WORKFLOW_STEP_KIND_{kind.upper()}")
    return cast("component_pb2.WorkflowStepKind", number)


def _step_started(payload: domain.StepStarted) -> Fields:
    message = event_pb2.StepStarted(
        place=_place_of(payload),
        kind=encode_step_kind(payload.kind),
        attempt=payload.attempt,
        subtask_id=payload.subtask_id,
    )
    return {"step_started": message}


def _step_completed(payload: domain.StepCompleted) -> Fields:
    message = event_pb2.StepCompleted(
        place=_place_of(payload),
        attempt=payload.attempt,
        output=payload.output,
        omitted_bytes=payload.omitted_bytes,
        stops_workflow=payload.stops_workflow,
    )
    return {"step_completed": message}


def _step_failed(payload: domain.StepFailed) -> Fields:
    message = event_pb2.StepFailed(
        place=_place_of(payload),
        attempt=payload.attempt,
        message=payload.message,
        will_retry=payload.will_retry,
        is_skipped=payload.is_skipped,
    )
    return {"step_failed": message}


def _step_skipped(payload: domain.StepSkipped) -> Fields:
    return {"step_skipped": event_pb2.StepSkipped(place=_place_of(payload), reason=payload.reason)}


def _branch_chosen(payload: domain.BranchChosen) -> Fields:
    return {"branch_chosen": event_pb2.BranchChosen(place=_place_of(payload), choices=payload.choices)}


def _loop_turned(payload: domain.LoopTurned) -> Fields:
    message = event_pb2.LoopTurned(place=_place_of(payload), turn=payload.turn, will_continue=payload.will_continue)
    return {"loop_turned": message}


def _place_of(payload: WorkflowPayload) -> event_pb2.StepPlace:
    return event_pb2.StepPlace(name=payload.name, path=payload.path, index=payload.index, iteration=payload.iteration)


WORKFLOW_ENCODERS: Mapping[type[WorkflowPayload], Callable[[Any], Fields]] = {
    domain.StepStarted: _step_started,
    domain.StepCompleted: _step_completed,
    domain.StepFailed: _step_failed,
    domain.StepSkipped: _step_skipped,
    domain.BranchChosen: _branch_chosen,
    domain.LoopTurned: _loop_turned,
}
