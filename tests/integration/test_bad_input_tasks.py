"""What the RPCs about tasks refuse: each with a clear reason and the path of the field, and the server goes on."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.wire import Wire, wire_to

from musterd import Musterd
from musterd.testing import serve
from musterd_client.v1.component_pb2 import ComponentRef
from musterd_client.v1.task_pb2 import Task, TaskState

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
TASK = {"task_id": "01890000-0000-7000-8000-000000000000"}
LONG_ID = "x" * 129

BAD_FIELDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "TaskStatus without an id": ("TaskStatus", {}, "task_id"),
    "TaskStatus of an id that is too long": ("TaskStatus", {"task_id": LONG_ID}, "task_id"),
    "ListTasks with a negative page": ("ListTasks", {"page_size": -1}, "page_size"),
    "ListTasks with a page that is too large": ("ListTasks", {"page_size": 1_001}, "page_size"),
    "ListTasks in an unknown state": ("ListTasks", {"states": ["TASK_STATE_WORKING", 99]}, "states[1]"),
    "ListTasks of an unknown kind": ("ListTasks", {"component": ComponentRef(kind=99)}, "component.kind"),  # pyright: ignore[reportArgumentType] - a number that has no name
    "ListTasks of an id without its kind": ("ListTasks", {"component": ComponentRef(id="greeter")}, "component.kind"),
    "ListTasks of a component id that is too long": (
        "ListTasks",
        {"component": ComponentRef(kind="COMPONENT_KIND_AGENT", id=LONG_ID)},
        "component.id",
    ),
    "ListTasks of a session id that is too long": ("ListTasks", {"session_id": LONG_ID}, "session_id"),
    "ListTasks of a parent id that is too long": ("ListTasks", {"parent_task_id": LONG_ID}, "parent_task_id"),
    "ListTasks of a root id that is too long": ("ListTasks", {"root_task_id": LONG_ID}, "root_task_id"),
    "ListAgents with a negative page": ("ListAgents", {"page_size": -1}, "page_size"),
    "ListAgents with a page that is too large": ("ListAgents", {"page_size": 1_001}, "page_size"),
    "GetAgent without an id": ("GetAgent", {}, "agent_id"),
    "GetAgent of an id that is too long": ("GetAgent", {"agent_id": LONG_ID}, "agent_id"),
    "WatchTask without an id": ("WatchTask", {}, "task_id"),
    "WatchTask of an id that is too long": ("WatchTask", {"task_id": LONG_ID}, "task_id"),
    "WatchTask after a negative sequence": ("WatchTask", {**TASK, "after_sequence": -1}, "after_sequence"),
    "WatchTask until an unknown end": ("WatchTask", {**TASK, "until": 99}, "until"),
    "WaitTasks without ids": ("WaitTasks", {}, "task_ids"),
    "WaitTasks with 101 ids": ("WaitTasks", {"task_ids": ["x"] * 101}, "task_ids"),
    "WaitTasks with an empty id": ("WaitTasks", {"task_ids": ["x", ""]}, "task_ids[1]"),
    "WaitTasks with an id that is too long": ("WaitTasks", {"task_ids": ["x", "x", LONG_ID]}, "task_ids[2]"),
    "WaitTasks in an unknown mode": ("WaitTasks", {"task_ids": ["x"], "mode": 99}, "mode"),
    "WaitTasks for a negative time": ("WaitTasks", {"task_ids": ["x"], "timeout": Duration(seconds=-1)}, "timeout"),
    "WaitTasks for too long": ("WaitTasks", {"task_ids": ["x"], "timeout": Duration(seconds=3_601)}, "timeout"),
    "CancelTask without an id": ("CancelTask", {}, "task_id"),
    "CancelTask of an id that is too long": ("CancelTask", {"task_id": LONG_ID}, "task_id"),
    "CancelTask in an unknown mode": ("CancelTask", {**TASK, "mode": 99}, "mode"),
    "CancelTask with a negative grace": ("CancelTask", {**TASK, "grace": Duration(nanos=-1)}, "grace"),
    "CancelTask with too much grace": ("CancelTask", {**TASK, "grace": Duration(seconds=3_601)}, "grace"),
    "CancelTask for a reason that is too long": ("CancelTask", {**TASK, "reason": "r" * 1_025}, "reason"),
    "CancelTask by a request id that is too long": ("CancelTask", {**TASK, "request_id": LONG_ID}, "request_id"),
    "SteerTask without an id": ("SteerTask", {"message": "m"}, "task_id"),
    "SteerTask without a message": ("SteerTask", TASK, "message"),
    "SteerTask with a message that is too long": ("SteerTask", {**TASK, "message": "m" * 65_537}, "message"),
    "SteerTask and a negative wait": (
        "SteerTask",
        {**TASK, "message": "m", "wait_timeout": Duration(seconds=-1)},
        "wait_timeout",
    ),
    "SteerTask and too long a wait": (
        "SteerTask",
        {**TASK, "message": "m", "wait_timeout": Duration(seconds=301)},
        "wait_timeout",
    ),
    "SteerTask by a request id that is too long": (
        "SteerTask",
        {**TASK, "message": "m", "request_id": LONG_ID},
        "request_id",
    ),
    "AnswerTask without an id": ("AnswerTask", {}, "task_id"),
    "AnswerTask of a question id that is too long": ("AnswerTask", {**TASK, "question_id": LONG_ID}, "question_id"),
    "AnswerTask with an answer that is too long": ("AnswerTask", {**TASK, "answer": "a" * 65_537}, "answer"),
}


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    app = Musterd(agents=[Agent(saying("hello"), name="greeter")])
    async with serve(app) as client, wire_to(client.target) as wire:
        yield wire


async def finished_task(wire: Wire) -> Task:
    task = (await wire.call("RunAgent", agent_id="greeter", message="hi")).task
    return (await wire.call("WaitTasks", task_ids=[task.task_id])).tasks[0]


@pytest.mark.parametrize("case", BAD_FIELDS)
async def test_a_bad_field_is_refused_by_its_path(wire: Wire, case: str) -> None:
    """R4, R5, R6, R7, C8 (refusal)."""
    name, fields, path = BAD_FIELDS[case]
    refusal = await wire.refusal(name, **fields)
    assert (refusal.code, refusal.reason, refusal.paths) == (INVALID, "INVALID_ARGUMENT", [path])
    assert refusal.text.startswith(f"{path}: ")
    assert len(refusal.text) > len(path) + 10


async def test_after_the_whole_table_the_server_serves_as_before(wire: Wire) -> None:
    """R4."""
    for name, fields, _ in BAD_FIELDS.values():
        await wire.refusal(name, **fields)
    assert (await finished_task(wire)).state == TaskState.TASK_STATE_COMPLETED


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("CancelTask", {}, "TASK_NOT_CANCELABLE"),
        ("CancelTask", {"mode": "CANCEL_MODE_HARD"}, "TASK_NOT_CANCELABLE"),
        ("SteerTask", {"message": "too late"}, "TASK_NOT_STEERABLE"),
        ("AnswerTask", {}, "TASK_NOT_WAITING"),
        ("AnswerTask", {"question_id": "q-1", "answer": "42"}, "TASK_NOT_WAITING"),
    ],
)
async def test_a_finished_task_takes_no_orders(wire: Wire, name: str, fields: dict[str, Any], reason: str) -> None:
    """R5, R6, R7, R11 (refusal)."""
    task = await finished_task(wire)
    refusal = await wire.refusal(name, task_id=task.task_id, **fields)
    assert (refusal.code, refusal.reason) == (PRECONDITION, reason)
    assert dict(refusal.info.metadata) == {"task_id": task.task_id, "state": "completed"}
    assert refusal.kinds == ["ErrorInfo", "PreconditionFailure"]
    assert refusal.details[1].violations[0].subject == task.task_id
    assert (await wire.call("TaskStatus", task_id=task.task_id)).task == task


async def test_a_sequence_beyond_the_log_is_refused_for_it_would_hide_the_end(wire: Wire) -> None:
    """R3 (refusal)."""
    task = await finished_task(wire)
    refusal = await wire.refusal("WatchTask", task_id=task.task_id, after_sequence=task.last_sequence + 1)
    assert (refusal.code, refusal.paths) == (INVALID, ["after_sequence"])
    assert str(task.last_sequence) in refusal.text
    watched = await wire.ask("WatchTask", task_id=task.task_id, after_sequence=task.last_sequence)
    assert (watched.code, len(watched.responses)) == (grpc.StatusCode.OK, 1)


@pytest.mark.parametrize("task_id", ["x", "0" * 128, "\x01", "'; DROP TABLE task; --", "任務"])
@pytest.mark.parametrize("name", ["TaskStatus", "WatchTask", "WaitTasks", "CancelTask"])
async def test_an_id_of_any_form_that_is_not_there_is_not_found(wire: Wire, name: str, task_id: str) -> None:
    """I5."""
    field: dict[str, Any] = {"task_ids": [task_id]} if name == "WaitTasks" else {"task_id": task_id}
    refusal = await wire.refusal(name, **field)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert dict(refusal.info.metadata) == {"task_id": task_id}
