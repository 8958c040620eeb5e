"""Who sees a task: its owner and the administrators of its tenant. For all others it does not exist."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic_ai import Agent
from tests.support.gated_model import Gate, saying, stopping
from tests.support.tokens import AUTH, TASK_SCOPES, token
from tests.support.wire import METHODS, Answer, Wire, wire_to

from musterd import Musterd
from musterd.testing import serve
from musterd_client.v1 import task_service_pb2, team_service_pb2
from musterd_client.v1.task_pb2 import Task, TaskState

NOT_THERE = "01890000-0000-7000-8000-000000000000"
OWNER = token("ada")
ADMIN = token("root", scopes="musterd:admin")
STRANGERS = {
    "another user": token("bob"),
    "a user whose name differs in case": token("Ada"),
    "the same user id in another tenant": token("ada", tenant="initech"),
    "an administrator of another tenant": token("root", tenant="initech", scopes="musterd:admin"),
    "who may impersonate": token("service", scopes=f"{TASK_SCOPES} musterd:impersonate"),
    "who may impersonate in another tenant": token(
        "ada", tenant="initech", scopes=f"{TASK_SCOPES} musterd:impersonate"
    ),
    "who approves": token("eve", scopes=f"{TASK_SCOPES} tasks:approve"),
}
CALLS: dict[str, dict[str, Any]] = {
    "TaskStatus": {},
    "WatchTask": {},
    "WaitTasks": {"timeout": Duration(seconds=0)},
    "CancelTask": {"mode": "CANCEL_MODE_HARD"},
    "SteerTask": {"message": "psst", "wait_timeout": Duration(seconds=0)},
    "AnswerTask": {},
    "GetTeamBoard": {},
    "AddTodo": {"content": "psst"},
    "SendTeamMessage": {"content": "psst"},
}
WITHOUT_A_TASK = {"ListTasks", "ListTeams", "GetTeam", "RunTeam"}
ALLOWED_OF_A_FINISHED_TASK = {
    "TaskStatus": "",
    "WatchTask": "",
    "WaitTasks": "",
    "CancelTask": "TASK_NOT_CANCELABLE",
    "SteerTask": "TASK_NOT_STEERABLE",
    "GetTeamBoard": "BOARD_NOT_FOUND",
    "AddTodo": "BOARD_NOT_FOUND",
    "SendTeamMessage": "BOARD_NOT_FOUND",
}


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def wire(gate: Gate) -> AsyncGenerator[Wire]:
    app = Musterd(agents=[Agent(saying("hello"), name="greeter"), Agent(stopping(gate), name="slow")])
    async with serve(app, auth=AUTH) as client, wire_to(client.target) as wire:
        yield wire


async def run(wire: Wire, token: str = OWNER, **fields: Any) -> Task:
    """Run an agent to its end, and return its task."""
    task_id = (await wire.call("RunAgent", token=token, agent_id="greeter", message="hi", **fields)).task.task_id
    return await status(wire, task_id, token)


async def status(wire: Wire, task_id: str, token: str = OWNER) -> Task:
    return (await wire.call("TaskStatus", token=token, task_id=task_id)).task


async def ask_of(wire: Wire, name: str, token: str, task_id: str) -> Answer:
    """Call an RPC about one task."""
    about: dict[str, Any] = {"task_ids": [task_id]} if name == "WaitTasks" else {"task_id": task_id}
    return await wire.ask(name, token=token, **about, **CALLS[name])


def as_of(answer: Answer, task_id: str) -> Answer:
    """Return what was on the wire as if it had been about NOT_THERE, whose id is as long."""
    trailers = tuple(
        (key, value.replace(task_id.encode(), NOT_THERE.encode()) if isinstance(value, bytes) else value)
        for key, value in answer.trailers
    )
    return replace(answer, text=answer.text.replace(task_id, NOT_THERE), trailers=trailers, details=())


def test_every_rpc_about_a_task_is_in_the_table() -> None:
    """I5."""
    services = [
        task_service_pb2.DESCRIPTOR.services_by_name["TaskService"],
        team_service_pb2.DESCRIPTOR.services_by_name["TeamService"],
    ]
    assert CALLS.keys() | WITHOUT_A_TASK == {method.name for service in services for method in service.methods}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
@pytest.mark.parametrize("name", CALLS)
async def test_a_task_of_others_looks_on_the_wire_like_one_that_is_not_there(
    wire: Wire, name: str, stranger: str
) -> None:
    """I5: for a task that has ended."""
    task = await run(wire)
    hidden = await ask_of(wire, name, stranger, task.task_id)
    missing = await ask_of(wire, name, stranger, NOT_THERE)
    assert (hidden.code, hidden.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert as_of(hidden, task.task_id) == as_of(missing, NOT_THERE)
    assert await status(wire, task.task_id) == task


@pytest.mark.parametrize("name", CALLS)
async def test_a_running_task_of_others_looks_the_same_and_is_not_touched(wire: Wire, gate: Gate, name: str) -> None:
    """I5."""
    started = await wire.call("RunAgent", token=OWNER, agent_id="slow", message="hi", background=True)
    task_id = started.task.task_id
    await gate.reached.wait()
    for stranger in STRANGERS.values():
        hidden, missing = [await ask_of(wire, name, stranger, each) for each in (task_id, NOT_THERE)]
        assert hidden.reason == "TASK_NOT_FOUND"
        assert as_of(hidden, task_id) == as_of(missing, NOT_THERE)
    assert (await status(wire, task_id)).state == TaskState.TASK_STATE_WORKING
    gate.open()
    waited = await wire.call("WaitTasks", token=OWNER, task_ids=[task_id])
    assert waited.tasks[0].output.text == "done"


@pytest.mark.parametrize("caller", [OWNER, ADMIN], ids=["owner", "administrator"])
@pytest.mark.parametrize("name", ALLOWED_OF_A_FINISHED_TASK)
async def test_the_owner_and_the_administrators_of_its_tenant_see_it(wire: Wire, name: str, caller: str) -> None:
    """I5."""
    task = await run(wire)
    answer = await ask_of(wire, name, caller, task.task_id)
    if answer.code is grpc.StatusCode.OK:
        response: Any = METHODS[name].response.FromString(answer.responses[0])
        assert (response.tasks[0] if name == "WaitTasks" else response.task) == task
    assert (answer.reason if answer.details else "") == ALLOWED_OF_A_FINISHED_TASK[name]


async def test_an_administrator_controls_the_tasks_of_its_tenant(wire: Wire, gate: Gate) -> None:
    """I5: and the log tells who it was."""
    started = await wire.call("RunAgent", token=OWNER, agent_id="slow", message="hi", background=True)
    await gate.reached.wait()
    canceled = await wire.call("CancelTask", token=ADMIN, task_id=started.task.task_id, mode="CANCEL_MODE_HARD")
    assert canceled.task.state == TaskState.TASK_STATE_CANCELED
    watched = await wire.ask("WatchTask", token=OWNER, task_id=started.task.task_id)
    messages: list[Any] = [METHODS["WatchTask"].response.FromString(data) for data in watched.responses]
    events = [event for message in messages for event in message.events]
    assert [event.cancel_requested.user_id for event in events if event.HasField("cancel_requested")] == ["root"]


async def test_a_wait_for_own_tasks_and_one_of_others_is_for_none(wire: Wire) -> None:
    """I5: the refusal names the one that is not visible, whether it is there or not."""
    own, other = await run(wire, token("bob")), await run(wire)
    for task_id in (other.task_id, NOT_THERE):
        refusal = await wire.refusal("WaitTasks", token=token("bob"), task_ids=[own.task_id, task_id])
        assert (refusal.reason, refusal.info.metadata["task_id"]) == ("TASK_NOT_FOUND", task_id)


async def test_a_list_holds_the_callers_tasks_alone(wire: Wire) -> None:
    """I5."""
    callers = [OWNER, STRANGERS["another user"], STRANGERS["the same user id in another tenant"]]
    made = [(await run(wire, caller, session_id="s-1")).task_id for caller in callers]
    lists = [[each.task_id for each in (await wire.call("ListTasks", token=caller)).tasks] for caller in callers]
    assert lists == [[task_id] for task_id in made]
    of_tenant = (await wire.call("ListTasks", token=ADMIN, session_id="s-1")).tasks
    assert [each.task_id for each in of_tenant] == [made[1], made[0]]


@pytest.mark.parametrize("filter_name", ["root_task_id", "parent_task_id", "session_id"])
async def test_filters_do_not_tell_of_the_tasks_of_others(wire: Wire, filter_name: str) -> None:
    """I5."""
    task = await run(wire, session_id="s-1")
    wanted = {"root_task_id": task.task_id, "parent_task_id": task.task_id, "session_id": "s-1"}[filter_name]
    for stranger in STRANGERS.values():
        assert not (await wire.call("ListTasks", token=stranger, **{filter_name: wanted})).tasks
