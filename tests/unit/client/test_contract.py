"""Holds the client to the contract: what is added there and forgotten here fails a test."""

from dataclasses import fields
from enum import StrEnum

import pytest
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

import musterd_client
from musterd_client import (
    approval_model,
    events,
    hook_model,
    logged_event,
    methods,
    model,
    session_model,
    team_model,
    workflow_model,
)
from musterd_client.event_codec import HEARTBEAT, event_from, restart_cause_from
from musterd_client.methods import CHECK_HEALTH, Method
from musterd_client.v1 import (
    agent_service_pb2,
    board_pb2,
    component_pb2,
    event_pb2,
    hook_service_pb2,
    run_pb2,
    server_service_pb2,
    session_service_pb2,
    task_pb2,
    task_service_pb2,
    team_service_pb2,
    workflow_service_pb2,
)

FILES = (
    agent_service_pb2,
    team_service_pb2,
    workflow_service_pb2,
    task_service_pb2,
    session_service_pb2,
    hook_service_pb2,
    server_service_pb2,
)
RPCS = {
    f"/{service.full_name}/{rpc.name}": rpc
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for rpc in service.methods
}
METHODS: list[Method[Message, Message]] = [
    value for value in vars(methods).values() if isinstance(value, Method) and value is not CHECK_HEALTH
]
KINDS = [field.name for field in event_pb2.RunEvent.DESCRIPTOR.oneofs_by_name["event"].fields]
LOGGED_KINDS = [kind for kind in KINDS if kind != HEARTBEAT]
EVENTS = {kind.kind: kind for kind in logged_event.LoggedEvent.__subclasses__()}
MESSAGES = [
    (task_pb2.Task, model.Task),
    (task_pb2.Question, model.Question),
    (task_pb2.Approval, approval_model.Approval),
    (task_service_pb2.Resolution, approval_model.Resolution),
    (task_pb2.Usage, model.Usage),
    (task_pb2.Output, model.Output),
    (task_pb2.TaskError, model.TaskError),
    (component_pb2.Agent, model.Agent),
    (component_pb2.Tool, model.Tool),
    (component_pb2.Team, team_model.Team),
    (component_pb2.TeamMember, team_model.TeamMember),
    (component_pb2.Workflow, workflow_model.Workflow),
    (component_pb2.WorkflowStep, workflow_model.WorkflowStep),
    (event_pb2.StepPlace, workflow_model.StepPlace),
    (session_service_pb2.Session, session_model.Session),
    (session_service_pb2.SessionEntry, session_model.SessionEntry),
    (session_service_pb2.SessionMessage, session_model.SessionMessage),
    (hook_service_pb2.HookRun, hook_model.HookRun),
    (board_pb2.Todo, team_model.Todo),
    (board_pb2.TeamMessage, team_model.TeamMessage),
    (board_pb2.BoardMember, team_model.BoardMember),
    (board_pb2.TeamBoard, team_model.TeamBoard),
    (run_pb2.UsageLimits, model.UsageLimits),
    (task_service_pb2.WaitTasksResponse, model.WaitResult),
    (task_service_pb2.CancelTaskResponse, model.CancelResult),
    (task_service_pb2.SteerTaskResponse, model.SteerResult),
    (server_service_pb2.ServerLimits, model.ServerLimits),
    (server_service_pb2.GetServerInfoResponse, model.ServerInfo),
]
ENUMS: list[tuple[EnumTypeWrapper, type[StrEnum]]] = [
    (task_pb2.TaskState, model.TaskState),
    (task_pb2.Priority, model.Priority),
    (component_pb2.ComponentKind, model.ComponentKind),
    (component_pb2.TeamMode, team_model.TeamMode),
    (component_pb2.WorkflowStepKind, workflow_model.WorkflowStepKind),
    (task_pb2.ApprovalKind, approval_model.ApprovalKind),
    (task_pb2.ApprovalState, approval_model.ApprovalState),
    (task_service_pb2.Verdict, approval_model.Verdict),
    (session_service_pb2.MessageRole, session_model.MessageRole),
    (hook_service_pb2.HookRunState, hook_model.HookRunState),
    (event_pb2.HookPhase, hook_model.HookPhase),
    (board_pb2.TodoStatus, team_model.TodoStatus),
    (event_pb2.TodoChange, team_model.TodoChange),
    (run_pb2.OnDisconnect, model.OnDisconnect),
    (task_service_pb2.WatchUntil, model.WatchUntil),
    (task_service_pb2.WaitMode, model.WaitMode),
    (task_service_pb2.CancelMode, model.CancelMode),
    (task_service_pb2.CancelOutcome, model.CancelOutcome),
    (task_service_pb2.SteerOutcome, model.SteerOutcome),
    (event_pb2.StepRestartCause, events.RestartCause),
]


def names_in_python(message: type[Message]) -> set[str]:
    """The message's field names, with the unit where Python has a number for a Duration.

    What a subtask executes is `subtask`, and what a step is `step_kind`: every event has a `component` and a `kind` of
    its own.
    """
    names: set[str] = set()
    for field in message.DESCRIPTOR.fields:
        is_duration = field.message_type is not None and field.message_type.name == "Duration"
        names.add(f"{field.name}_seconds" if is_duration else field.name)
    own_names = {"component": "subtask", "kind": "step_kind"} if "subtask_id" in names else {}
    return {own_names.get(name, name) for name in names}


def test_every_rpc_has_its_method() -> None:
    assert {method.path for method in METHODS} == set(RPCS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_has_the_messages_of_its_rpc(method: Method[Message, Message]) -> None:
    rpc = RPCS[method.path]
    assert (rpc.input_type, rpc.output_type) == (method.request.DESCRIPTOR, method.response.DESCRIPTOR)


@pytest.mark.parametrize("path", RPCS)
def test_every_call_that_the_client_repeats_is_safe_to_repeat(path: str) -> None:
    """R8."""
    rpc = RPCS[path]
    level = rpc.GetOptions().idempotency_level
    is_safe = level in (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT) or rpc.name == "WatchTask"
    assert is_safe or "request_id" in rpc.input_type.fields_by_name


@pytest.mark.parametrize("kind", LOGGED_KINDS)
def test_every_kind_of_event_has_its_class_with_all_fields(kind: str) -> None:
    message = event_pb2.RunEvent(task_id="t", sequence=1)
    getattr(message, kind).SetInParent()

    event = event_from(message)

    assert event is not None
    assert type(event) is EVENTS[kind]
    header = {field.name for field in fields(logged_event.LoggedEvent)}
    body: Message = getattr(message, kind)
    assert {field.name for field in fields(event)} - header == names_in_python(type(body))


@pytest.mark.parametrize(("message", "twin"), MESSAGES, ids=lambda kind: kind.__module__ + "." + kind.__name__)
def test_a_dataclass_has_the_fields_of_its_message(message: type[Message], twin: type[model.Task]) -> None:
    assert {field.name for field in fields(twin)} == names_in_python(message)


@pytest.mark.parametrize(("contract", "twin"), ENUMS, ids=lambda kind: getattr(kind, "__name__", None))
def test_an_enum_has_the_values_of_the_contract(contract: EnumTypeWrapper, twin: type[StrEnum]) -> None:
    prefix = next(iter(contract.keys())).removesuffix("UNSPECIFIED")
    values = {value.name.removeprefix(prefix) for value in contract.DESCRIPTOR.values if value.number}
    assert set(twin.__members__) - {"UNKNOWN"} == values


def test_a_restart_cause_of_a_newer_server_is_unknown() -> None:
    assert restart_cause_from(77) is events.RestartCause.UNKNOWN


def test_a_heartbeat_is_no_event() -> None:
    assert event_from(event_pb2.RunEvent(heartbeat=event_pb2.Heartbeat())) is None


def test_the_shop_window_names_what_it_shows() -> None:
    shown = {name for name, value in vars(musterd_client).items() if getattr(value, "__module__", "").startswith("mus")}
    assert shown <= set(musterd_client.__all__)
    assert all(hasattr(musterd_client, name) for name in musterd_client.__all__)
