"""Translates the values of hooks from messages of the contract."""

from musterd_client import hook_model
from musterd_client.codec import EnumDecoder, time_from
from musterd_client.v1 import event_pb2, hook_service_pb2

hook_phase_from = EnumDecoder(event_pb2.HookPhase, hook_model.HookPhase, "HOOK_PHASE_")
hook_run_state_from = EnumDecoder(hook_service_pb2.HookRunState, hook_model.HookRunState, "HOOK_RUN_STATE_")


def hook_run_from(message: hook_service_pb2.HookRun) -> hook_model.HookRun:
    """Returns the run of a hook."""
    return hook_model.HookRun(
        hook_run_id=message.hook_run_id,
        task_id=message.task_id,
        name=message.name,
        phase=hook_phase_from(message.phase),
        state=hook_run_state_from(message.state),
        attempts=message.attempts,
        error=message.error,
        create_time=time_from(message.create_time) if message.HasField("create_time") else None,
        update_time=time_from(message.update_time) if message.HasField("update_time") else None,
        next_attempt_time=time_from(message.next_attempt_time) if message.HasField("next_attempt_time") else None,
    )
