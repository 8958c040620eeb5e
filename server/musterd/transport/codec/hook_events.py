"""Encodes the events of hooks."""

from collections.abc import Callable, Mapping
from typing import Any

from musterd.domain import event as domain
from musterd.domain.hook_run import HookPhase
from musterd.transport.codec.hook_runs import HOOK_PHASE_TO_WIRE
from musterd_client.v1 import event_pb2

Fields = dict[str, Any]


def _hook_started(payload: domain.HookStarted) -> Fields:
    return {"hook_started": event_pb2.HookStarted(**_run_of(payload))}


def _hook_completed(payload: domain.HookCompleted) -> Fields:
    return {"hook_completed": event_pb2.HookCompleted(**_run_of(payload))}


def _hook_failed(payload: domain.HookFailed) -> Fields:
    message = event_pb2.HookFailed(
        **_run_of(payload), message=payload.message, will_retry=payload.will_retry, trigger=payload.trigger
    )
    if payload.details:
        message.details.update(payload.details)
    return {"hook_failed": message}


def _run_of(payload: domain.HookStarted | domain.HookCompleted | domain.HookFailed) -> Fields:
    return {
        "hook_run_id": payload.hook_run_id,
        "phase": HOOK_PHASE_TO_WIRE[HookPhase(payload.phase)],
        "name": payload.name,
        "in_background": payload.in_background,
        "attempt": payload.attempt,
    }


HOOK_ENCODERS: Mapping[type[domain.Payload], Callable[[Any], Fields]] = {
    domain.HookStarted: _hook_started,
    domain.HookCompleted: _hook_completed,
    domain.HookFailed: _hook_failed,
}
