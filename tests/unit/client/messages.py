"""Messages of the contract with little in them, for scripts."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from musterd_client.v1.agent_service_pb2 import RunAgentResponse
from musterd_client.v1.component_pb2 import ComponentRef
from musterd_client.v1.event_pb2 import (
    ApprovalRequested,
    ApprovalResolved,
    Heartbeat,
    ModelRequestCompleted,
    QuestionAsked,
    RunEvent,
    StepRestarted,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TextDelta,
)
from musterd_client.v1.task_pb2 import Approval, Output, Task, TaskError, Usage
from musterd_client.v1.task_service_pb2 import WatchTaskResponse
from musterd_client.v1.team_service_pb2 import RunTeamResponse

TASK_ID = "01980000-0000-7000-8000-000000000001"
CHILD_ID = "01980000-0000-7000-8000-000000000002"
GREETER = ComponentRef(kind="COMPONENT_KIND_AGENT", id="greeter")
USAGE = Usage(requests=2, tool_calls=1, input_tokens=30, output_tokens=12)


def a_task(
    task_id: str = TASK_ID, state: str = "TASK_STATE_WORKING", component: ComponentRef = GREETER, **fields: Any
) -> Task:
    return Task(
        task_id=task_id,
        root_task_id=TASK_ID,
        parent_task_id="" if task_id == TASK_ID else TASK_ID,
        component=component,
        state=state,
        create_time=Timestamp(seconds=1_800_000_000),
        **fields,
    )


def event(sequence: int, task_id: str = TASK_ID, **kind: Any) -> RunEvent:
    create_time = Timestamp(seconds=1_800_000_000 + sequence)
    return RunEvent(task_id=task_id, sequence=sequence, create_time=create_time, component=GREETER, **kind)


def text(sequence: int, content: str, step: int = 1, task_id: str = TASK_ID) -> RunEvent:
    return event(sequence, task_id, text_delta=TextDelta(step=step, text=content))


def response_completed(sequence: int, step: int = 1) -> RunEvent:
    return event(sequence, model_request_completed=ModelRequestCompleted(step=step, model="fake", usage=USAGE))


def restarted(sequence: int, step: int = 1) -> RunEvent:
    return event(sequence, step_restarted=StepRestarted(step=step, cause="STEP_RESTART_CAUSE_RECOVERY"))


def completed(sequence: int, content: str = "Hello", task_id: str = TASK_ID) -> RunEvent:
    return event(sequence, task_id, task_completed=TaskCompleted(output=Output(text=content), usage=USAGE))


def failed(sequence: int, reason: str = "ERROR_REASON_MODEL_FAILED") -> RunEvent:
    error = TaskError(reason=reason, message="the model refused", error_id="e-1")
    return event(sequence, task_failed=TaskFailed(error=error, usage=USAGE, state="TASK_STATE_FAILED"))


def canceled(sequence: int) -> RunEvent:
    output = Output(text="Hel", partial=True)
    return event(sequence, task_canceled=TaskCanceled(reason="enough", usage=USAGE, output=output))


def heartbeat(last_sequence: int) -> RunEvent:
    return event(0, heartbeat=Heartbeat(last_sequence=last_sequence))


def an_approval(approval_id: str = "a-1", **fields: Any) -> Approval:
    pays = {"kind": "APPROVAL_KIND_TOOL", "tool_name": "pay", "arguments_json": '{"euros":3}'}
    standing: dict[str, Any] = {"task_id": TASK_ID, "state": "APPROVAL_STATE_OPEN", "tool_call_id": "c-1", **pays}
    return Approval(approval_id=approval_id, **{**standing, **fields})


def approval_requested(sequence: int, approval: Approval | None = None, task_id: str = TASK_ID) -> RunEvent:
    return event(sequence, task_id, approval_requested=ApprovalRequested(approval=approval or an_approval()))


def approval_resolved(sequence: int, approval_id: str = "a-1", state: str = "APPROVED", **fields: Any) -> RunEvent:
    resolved = ApprovalResolved(approval_id=approval_id, state=f"APPROVAL_STATE_{state}", **fields)
    return event(sequence, approval_resolved=resolved)


def question_asked(sequence: int, question_id: str = "q-1", task_id: str = TASK_ID) -> RunEvent:
    return event(sequence, task_id, question_asked=QuestionAsked(question_id=question_id, text="Which one?"))


def run_message(*events: RunEvent, task: Task | None = None) -> RunAgentResponse:
    return RunAgentResponse(task=task, events=events)


def team_message(*events: RunEvent, task: Task | None = None) -> RunTeamResponse:
    return RunTeamResponse(task=task, events=events)


def watch_message(*events: RunEvent, task: Task | None = None) -> WatchTaskResponse:
    return WatchTaskResponse(task=task, events=events)
