"""The tables that must be whole: reasons, their statuses, and the kinds of events on both sides of the wire."""
# pyright: reportMissingTypeStubs=false
# google.rpc has no types.

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, cast, get_args

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from musterd.domain import event as domain
from musterd.domain.board import TeamMessage, Todo, TodoStatus
from musterd.domain.errors import FieldViolation, MusterdError, Reason
from musterd.domain.task import (
    ApprovalKind,
    ApprovalState,
    ComponentKind,
    ComponentRef,
    Output,
    TaskError,
    TaskState,
    Usage,
)
from musterd.transport.codec.events import ENCODERS, EventEncoder, heartbeat
from musterd.transport.errors import STATUS_OF, status_of
from musterd_client import events as client
from musterd_client.event_codec import event_from
from musterd_client.v1 import error_pb2, event_pb2

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
REF = ComponentRef(kind=ComponentKind.AGENT, id="greeter")
MOST_TRAILER_BYTES = 8_192

USAGE = Usage(
    requests=1,
    tool_calls=2,
    input_tokens=3,
    output_tokens=4,
    cache_read_tokens=5,
    cache_write_tokens=6,
    details={"reasoning_tokens": 7},
)
OUTPUT = Output(text='{"a":1}', json='{"a":1}', partial=True)
ERROR = TaskError(reason=Reason.TASK_LOST, message="lost", error_id="e-1", cause="COMPONENT_CHANGED")
HELPER = ComponentRef(kind=ComponentKind.SUBAGENT, id="helper")
TODO = Todo(
    id="t-2",
    content="write",
    status=TodoStatus.IN_PROGRESS,
    assigned_to="writer",
    blocked_by=("t-0", "t-1"),
    created_by="leader",
    attempts=2,
    result="so far",
)
MESSAGE = TeamMessage(id="m-1", sender="leader", receiver="writer", content="faster", timestamp=MOMENT)
CALL: dict[str, Any] = {"step": 2, "tool_call_id": "c-1", "tool_name": "add"}
HOOK: dict[str, Any] = {"hook_run_id": "h-1", "phase": "post", "name": "audit", "in_background": True, "attempt": 2}
PLACE: dict[str, Any] = {"name": "draft", "path": ("loop", "draft"), "index": 1, "iteration": 3}
PAYLOADS: tuple[domain.Payload, ...] = (
    domain.TaskStarted(session_id="s-1", parent_task_id="p-1"),
    domain.TaskCompleted(output=OUTPUT, usage=USAGE, unapplied_steer_ids=("s-1",)),
    domain.TaskFailed(
        error=ERROR, usage=USAGE, output=OUTPUT, state=TaskState.REJECTED, unapplied_steer_ids=("s-1", "s-2")
    ),
    domain.TaskCanceled(reason="enough", usage=USAGE, output=OUTPUT, unapplied_steer_ids=("s-1",)),
    domain.CancelRequested(reason="enough", hard=True, grace_seconds=1.5, user_id="ada"),
    domain.AuthRequired(expired_at=MOMENT),
    domain.AuthRenewed(user_id="ada"),
    domain.ModelRequestStarted(step=2, model="gpt"),
    domain.ModelRequestCompleted(step=2, model="gpt", usage=USAGE, finish_reason="stop"),
    domain.TextDelta(step=2, part_index=3, text="hello ☃"),
    domain.ThinkingDelta(step=2, part_index=3, text="hm"),
    domain.ToolCallArgumentsDelta(**CALL, part_index=3, arguments_json='{"a":'),
    domain.RetryScheduled(step=2, attempt=3, delay_seconds=0.25, message="busy"),
    domain.StepRestarted(step=2, cause=domain.RestartCause.RETRY),
    domain.ToolCallStarted(**CALL, arguments_json="{}"),
    domain.ToolCallCompleted(**CALL, result_json="3", omitted_bytes=9),
    domain.ToolCallFailed(**CALL, message="no", will_retry=True),
    domain.Steered(steer_id="s-1", step=2, message="faster", user_id="ada"),
    domain.QuestionAsked(question_id="q-1", text="which?", expire_time=MOMENT),
    domain.QuestionAnswered(question_id="q-1", answer="this", user_id="ada"),
    domain.QuestionExpired(question_id="q-1"),
    domain.SubtaskStarted(subtask_id="t-1", component=HELPER, description="help", in_background=True),
    domain.SubtaskEnded(subtask_id="t-1", component=HELPER, state=TaskState.FAILED),
    domain.TodoChanged(change=domain.TodoChange.CLAIMED, todo=TODO, actor="writer"),
    domain.TeamMessageSent(message=MESSAGE),
    domain.ApprovalRequested(
        **CALL,
        approval_id="a-1",
        kind=ApprovalKind.EXTERNAL,
        arguments_json="{}",
        text="pay?",
        expire_time=MOMENT,
    ),
    domain.ApprovalResolved(
        approval_id="a-1",
        state=ApprovalState.RESOLVED,
        reason="checked",
        arguments_json='{"a":1}',
        result_json="3",
        user_id="eve",
    ),
    domain.HookStarted(**HOOK),
    domain.HookCompleted(**HOOK),
    domain.HookFailed(**HOOK, message="no", will_retry=True, trigger="PII", details={"field": "mail"}),
    domain.StepStarted(**PLACE, attempt=2, kind="function", subtask_id="t-1"),
    domain.StepCompleted(**PLACE, attempt=2, output="done", omitted_bytes=9, stops_workflow=True),
    domain.StepFailed(**PLACE, attempt=2, message="no", will_retry=True, is_skipped=True),
    domain.StepSkipped(**PLACE, reason="not needed"),
    domain.BranchChosen(**PLACE, choices=("draft", "check")),
    domain.LoopTurned(**PLACE, turn=3, will_continue=True),
    domain.Custom(type="progress", payload={"done": 1, "of": [2, None, {"deep": "yes"}], "ratio": 0.5}),
)
CLIENT_GROUPS = ("approval", "place")
"""Fields of the client's events that hold others."""

WORDS = ("phase", "kind")
"""Fields that are enums for the client, and for the domain may be words."""

CLIENT_NAMES = {"kind": "step_kind", "expired_at": "expire_time", "component": "subtask"}
CLIENT_NAMES_WITHIN: Mapping[type, Mapping[str, str]] = {
    Todo: {"id": "todo_id"},
    TeamMessage: {"id": "message_id", "timestamp": "create_time"},
}


def received(event: client.Event, name: str) -> Any:
    """Return a field of the event, wherever in it."""
    for group in CLIENT_GROUPS:
        if hasattr(getattr(event, group, None), name):
            return getattr(getattr(event, group), name)
    return getattr(event, CLIENT_NAMES.get(name, name))


def comparable(value: Any) -> Any:
    """Return a value of either side in the form that both share."""
    if dataclasses.is_dataclass(value):
        names = CLIENT_NAMES_WITHIN.get(type(value), {})
        fields = dataclasses.fields(value)
        return {names.get(each.name, each.name): comparable(getattr(value, each.name)) for each in fields}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {key: comparable(each) for key, each in cast("Mapping[str, Any]", value).items()}
    return [comparable(each) for each in cast("list[Any]", value)] if isinstance(value, list | tuple) else value


def over_the_wire(payload: domain.Payload) -> client.Event:
    message = EventEncoder().encode(domain.Event("root", "task", 7, MOMENT, REF, payload))
    event = event_from(event_pb2.RunEvent.FromString(message.SerializeToString()))
    assert event is not None
    return event


def test_every_reason_has_a_status() -> None:
    """R1."""
    assert STATUS_OF.keys() == set(Reason)
    assert grpc.StatusCode.OK not in STATUS_OF.values()
    assert grpc.StatusCode.UNKNOWN not in STATUS_OF.values()


def test_the_reasons_of_the_contract_are_ours() -> None:
    """R1."""
    names = {name.removeprefix("ERROR_REASON_") for name, number in error_pb2.ErrorReason.items() if number}
    assert names == {reason.value for reason in Reason} == {reason.name for reason in Reason}


@pytest.mark.parametrize("reason", Reason)
def test_a_status_of_any_reason_has_one_error_info_and_fits_into_the_trailers(reason: Reason) -> None:
    """R1: whatever is in the error, however long."""
    long = "длинно" * 10_000
    violations = tuple(FieldViolation(path=long, rule="rule", message=long) for _ in range(1_000))
    error = MusterdError(
        reason=reason,
        message=long,
        metadata={"task_id": "t" * 128},
        violations=violations,
        retry_after_seconds=1.5,
        quota="max_running_tasks",
    )
    status: Any = status_of(error)
    trailers = dict(status.trailing_metadata)
    decoded = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    infos = [each for each in decoded.details if each.type_url.endswith("/google.rpc.ErrorInfo")]
    assert status.code is STATUS_OF[reason]
    assert len(infos) == 1
    info = error_details_pb2.ErrorInfo()
    assert infos[0].Unpack(info)
    assert (info.domain, info.reason) == ("musterd", reason.value)
    text_bytes = sum(3 if byte > 0x7E else 1 for byte in status.details.encode())
    assert text_bytes + len(trailers["grpc-status-details-bin"]) * 4 / 3 < MOST_TRAILER_BYTES


def test_a_text_with_half_a_character_is_still_a_status() -> None:
    """R1."""
    status: Any = status_of(MusterdError(reason=Reason.INTERNAL, message="half \ud800 of it"))
    assert status.details == "half ? of it"


def test_the_samples_are_of_every_kind_of_event_and_fill_every_field() -> None:
    """R3: a field that was added and not sent would be lost in silence."""
    kinds = set(get_args(domain.Payload))
    assert {type(payload) for payload in PAYLOADS} == kinds
    for payload in PAYLOADS:
        for field in dataclasses.fields(payload):
            assert getattr(payload, field.name) not in (field.default, None, "", 0, ())


def test_every_kind_of_event_has_an_encoder() -> None:
    """R3."""
    assert ENCODERS.keys() == set(get_args(domain.Payload))


def test_every_kind_of_event_of_the_contract_is_sent_by_someone() -> None:
    """R3."""
    kinds = {each.name for each in event_pb2.RunEvent.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert {over_the_wire(payload).kind for payload in PAYLOADS} | {"heartbeat"} == kinds
    assert heartbeat("t", 7).WhichOneof("event") == "heartbeat"


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_an_event_arrives_as_it_was_sent(payload: domain.Payload) -> None:
    """R3."""
    event = over_the_wire(payload)
    assert type(event).__name__ == type(payload).__name__
    assert type(event) in get_args(client.Event)
    assert (event.task_id, event.sequence, event.create_time) == ("task", 7, MOMENT)
    assert (event.component.kind.name, event.component.id) == ("AGENT", "greeter")
    for field in dataclasses.fields(payload):
        sent = comparable(getattr(payload, field.name))
        got = comparable(received(event, field.name))
        assert got == (sent.upper() if field.name in WORDS else sent), field.name


def test_a_requested_approval_says_whose_it_is_and_since_when() -> None:
    """N2: its event stands for the whole of it."""
    requested = next(each for each in PAYLOADS if isinstance(each, domain.ApprovalRequested))
    event = over_the_wire(requested)
    assert isinstance(event, client.ApprovalRequested)
    assert (event.approval.task_id, event.approval.create_time) == ("task", MOMENT)
    assert event.approval.state.name == "OPEN"


def test_the_client_knows_no_other_kinds() -> None:
    """R3."""
    assert {each.__name__ for each in get_args(client.Event)} == {each.__name__ for each in get_args(domain.Payload)}
