"""Encodes the runs of background hooks."""

from typing import cast

from musterd.domain.hook_run import HookPhase, HookRunState
from musterd.domain.hook_store import HookRun
from musterd.transport.codec.tasks import timestamp
from musterd_client.v1 import event_pb2
from musterd_client.v1 import hook_service_pb2 as pb2

HOOK_PHASE_TO_WIRE = {
    each: cast("event_pb2.HookPhase", event_pb2.HookPhase.Value(f"HOOK_PHASE_{each.name}")) for each in HookPhase
}
HOOK_RUN_STATE_TO_WIRE = {
    each: cast("pb2.HookRunState", pb2.HookRunState.Value(f"HOOK_RUN_STATE_{each.name}")) for each in HookRunState
}
HOOK_RUN_STATE_FROM_WIRE: dict[int, HookRunState] = {number: each for each, number in HOOK_RUN_STATE_TO_WIRE.items()}


def encode_hook_run(run: HookRun) -> pb2.HookRun:
    """Encode a hook's run as it stands."""
    return pb2.HookRun(
        hook_run_id=run.hook_run_id,
        task_id=run.task_id,
        name=run.name,
        phase=HOOK_PHASE_TO_WIRE[run.phase],
        state=HOOK_RUN_STATE_TO_WIRE[run.state],
        attempts=run.attempts,
        error=run.error,
        create_time=timestamp(run.create_time),
        update_time=timestamp(run.update_time),
        next_attempt_time=timestamp(run.next_attempt_time),
    )
