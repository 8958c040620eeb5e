"""Translates the events of hooks: one small function for each kind, and one table of them."""

from collections.abc import Callable, Mapping

from musterd_client import hook_events as events
from musterd_client.codec import struct_from
from musterd_client.event_header import Header
from musterd_client.hook_codec import hook_phase_from
from musterd_client.v1 import event_pb2

HookEvent = events.HookStarted | events.HookCompleted | events.HookFailed


def _hook_started(message: event_pb2.RunEvent, header: Header) -> events.HookStarted:
    body = message.hook_started
    return events.HookStarted(
        **header,
        hook_run_id=body.hook_run_id,
        phase=hook_phase_from(body.phase),
        name=body.name,
        in_background=body.in_background,
        attempt=body.attempt,
    )


def _hook_completed(message: event_pb2.RunEvent, header: Header) -> events.HookCompleted:
    body = message.hook_completed
    return events.HookCompleted(
        **header,
        hook_run_id=body.hook_run_id,
        phase=hook_phase_from(body.phase),
        name=body.name,
        in_background=body.in_background,
        attempt=body.attempt,
    )


def _hook_failed(message: event_pb2.RunEvent, header: Header) -> events.HookFailed:
    body = message.hook_failed
    return events.HookFailed(
        **header,
        hook_run_id=body.hook_run_id,
        phase=hook_phase_from(body.phase),
        name=body.name,
        in_background=body.in_background,
        attempt=body.attempt,
        message=body.message,
        will_retry=body.will_retry,
        trigger=body.trigger,
        details=struct_from(body.details),
    )


HOOK_DECODERS: Mapping[str, Callable[[event_pb2.RunEvent, Header], HookEvent]] = {
    events.HookStarted.kind: _hook_started,
    events.HookCompleted.kind: _hook_completed,
    events.HookFailed.kind: _hook_failed,
}
