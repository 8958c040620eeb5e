"""Who sees a task: its owner and the administrators of its tenant. For all others it does not exist.

All of it on both stores; on PostgreSQL as a role that the policies of tenants bind.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2
from pydantic_ai import Agent
from tests.support.gated_model import Gate, saying, stopping
from tests.support.scripted import call_then_say
from tests.support.stage import Stage, ask, do, task
from tests.support.tokens import AUTH, TASK_SCOPES, token
from tests.support.trees import only_child_of
from tests.support.wire import METHODS, Answer, Wire, wire_to

from musterd import Musterd, Team
from musterd.app import Service
from musterd.settings import migrate_store
from musterd.store.postgres.connection import Database
from musterd.testing.serving import serve_settings
from musterd_client import ModelRequestStarted, MusterdClient, QuestionAsked
from musterd_client.v1.task_pb2 import Task, TaskState
from musterd_client.v1.task_service_pb2 import Resolution, Verdict

NOT_THERE = "01890000-0000-7000-8000-000000000000"
SCOPES = f"agents:run teams:run {TASK_SCOPES} tasks:approve"
OWNER = token("ada", scopes=SCOPES)
ADMIN = token("root", scopes="musterd:admin")
STRANGERS = {
    "another user": token("bob", scopes=SCOPES),
    "a user whose name differs in case": token("Ada", scopes=SCOPES),
    "the same user id in another tenant": token("ada", tenant="initech", scopes=SCOPES),
    "an administrator of another tenant": token("root", tenant="initech", scopes="musterd:admin"),
    "who may impersonate": token("service", scopes=f"{SCOPES} musterd:impersonate"),
    "who may impersonate in another tenant": token("ada", tenant="initech", scopes=f"{SCOPES} musterd:impersonate"),
}
REQUEST_ID = "r-1"
"""The owner has used it for every RPC that takes one."""
QUESTION = "the id of the question that is open"
CALLS: Sequence[tuple[str, dict[str, Any]]] = (
    ("TaskStatus", {}),
    ("WatchTask", {}),
    ("WaitTasks", {"timeout": Duration(seconds=0)}),
    ("CancelTask", {"mode": "CANCEL_MODE_HARD", "request_id": REQUEST_ID}),
    ("SteerTask", {"message": "psst", "wait_timeout": Duration(seconds=0), "request_id": REQUEST_ID}),
    ("AnswerTask", {}),
    ("AnswerTask", {"question_id": QUESTION, "answer": "psst", "request_id": REQUEST_ID}),
    ("ResolveTask", {"resolutions": [Resolution(verdict=Verdict.VERDICT_APPROVE)], "request_id": REQUEST_ID}),
    ("GetTeamBoard", {}),
    ("AddTodo", {"content": "psst", "request_id": REQUEST_ID}),
    ("SendTeamMessage", {"content": "psst", "request_id": REQUEST_ID}),
)
WITHOUT_A_TASK = {
    *("ListAgents", "GetAgent", "RunAgent", "ListTeams", "GetTeam", "RunTeam"),
    *("ListWorkflows", "GetWorkflow", "RunWorkflow", "ListTasks", "GetServerInfo"),
    *("ListSessions", "GetSession", "DeleteSession"),
    *("ListHookRuns", "RetryHookRun"),
}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A server, and what its owner has there once it is set: all kinds of tasks, by what each does."""

    wire: Wire
    client: MusterdClient
    gate: Gate
    member_gate: Gate
    task_ids: dict[str, str] = field(default_factory=dict[str, str])
    question_ids: list[str] = field(default_factory=list[str])

    async def set_up(self) -> None:
        """Let the owner start and change everything that there can be."""
        run = {"message": "hi", "session_id": "s-1", "request_id": REQUEST_ID}
        ids = self.task_ids
        ids["has ended"] = (await self._run("RunAgent", agent_id="greeter", message="hi", session_id="s-1")).task_id
        ids["runs"] = (await self._run("RunAgent", agent_id="slow", background=True, **run)).task_id
        await self.gate.reached.wait()
        await self._until_stored(ids["runs"], ids["runs"])
        ids["leads"] = (await self._run("RunTeam", team_id="press", background=True, **run)).task_id
        await self.member_gate.reached.wait()
        ids["is a member's"] = (await only_child_of(self.client, ids["leads"])).task_id
        await self._until_stored(ids["leads"], ids["is a member's"])
        plan = do(task(do(ask("which?")), mode="sync"))
        async with self.client.run_agent("boss", plan, session_id="s-1") as asking:
            async for event in asking:
                if isinstance(event, QuestionAsked):
                    break
            ids["delegates"] = asking.task.task_id
        asker = await only_child_of(self.client, ids["delegates"])
        ids["asks"] = asker.task_id
        self.question_ids[:] = [question.question_id for question in asker.questions]
        told = {"request_id": REQUEST_ID}
        await self.ask_of("SteerTask", OWNER, ids["runs"], message="on", wait_timeout=Duration(seconds=0), **told)
        await self.ask_of("AddTodo", OWNER, ids["leads"], content="print", **told)
        await self.ask_of("SendTeamMessage", OWNER, ids["leads"], content="hear", **told)

    async def _until_stored(self, root_task_id: str, task_id: str) -> None:
        """Wait for the last that a task says before its gate: on a busy machine it is stored long after."""
        async with self.client.tasks.watch(root_task_id) as watch:
            async for event in watch:
                if isinstance(event, ModelRequestStarted) and event.task_id == task_id:
                    return

    async def _run(self, name: str, **fields: Any) -> Task:
        return (await self.wire.call(name, token=OWNER, **fields)).task

    async def ask_of(self, name: str, token: str, task_id: str, **fields: Any) -> Answer:
        """Call an RPC about one task."""
        about: dict[str, Any] = {"task_ids": [task_id]} if name == "WaitTasks" else {"task_id": task_id}
        if fields.get("question_id") == QUESTION:
            (fields["question_id"],) = self.question_ids
        return await self.wire.ask(name, token=token, **about, **fields)

    async def all_as_of_owner(self) -> list[Any]:
        """Return the tasks and the board as the owner sees them."""
        tasks = [await status(self.wire, task_id, OWNER) for task_id in self.task_ids.values()]
        return [*tasks, await self.wire.call("GetTeamBoard", token=OWNER, task_id=self.task_ids["leads"])]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the settings of an empty store."""
    if request.param == "sqlite":
        return {}
    database: Database = request.getfixturevalue("bound_database")
    return {"url": database.dsn, "db_schema": database.schema}


@pytest.fixture
async def scene(store: dict[str, Any], tmp_path: Path) -> AsyncGenerator[Scene]:
    settings = serve_settings(tmp_path, auth=AUTH, store=store)
    if settings.store.is_shared:
        await migrate_store(settings.store)
    gate, member_gate = Gate(), Gate()
    writer = Agent(stopping(member_gate), name="writer")
    lead = call_then_say("delegate_to_member", "printed", arguments='{"member": "writer", "task": "write it"}')
    app = Musterd(
        agents=[Agent(saying("hello"), name="greeter"), Agent(stopping(gate), name="slow"), Stage().agent()],
        teams=[Team("press", [writer], model=lead)],
    )
    service = Service(app, settings)
    await service.start()
    target = f"unix:{settings.server.unix_socket}"
    async with MusterdClient(target, token=OWNER) as client, wire_to(target) as wire:
        yield Scene(wire=wire, client=client, gate=gate, member_gate=member_gate)
    await service.stop()


@pytest.fixture
def wire(scene: Scene) -> Wire:
    return scene.wire


@pytest.fixture
def gate(scene: Scene) -> Gate:
    return scene.gate


async def run(wire: Wire, token: str = OWNER, **fields: Any) -> Task:
    """Run an agent to its end, and return its task."""
    task_id = (await wire.call("RunAgent", token=token, agent_id="greeter", message="hi", **fields)).task.task_id
    return await status(wire, task_id, token)


async def status(wire: Wire, task_id: str, token: str = OWNER) -> Task:
    return (await wire.call("TaskStatus", token=token, task_id=task_id)).task


def as_of(answer: Answer, task_id: str) -> Answer:
    """Return what was on the wire as if it had been about NOT_THERE, whose id is as long."""
    trailers = tuple(
        (key, value.replace(task_id.encode(), NOT_THERE.encode()) if isinstance(value, bytes) else value)
        for key, value in answer.trailers
    )
    return replace(answer, text=answer.text.replace(task_id, NOT_THERE), trailers=trailers, details=())


async def test_every_rpc_is_in_the_table(wire: Wire) -> None:
    """I5: of all services that the server has."""
    listed = (await wire.send("/grpc.health.v1.Health/List", b"")).responses[0]
    services = [name for name in cast("Any", health_pb2).HealthListResponse.FromString(listed).statuses if name]
    find: Callable[[str], ServiceDescriptor] = descriptor_pool.Default().FindServiceByName
    assert {name for name, _ in CALLS} | WITHOUT_A_TASK == {
        method.name for service in services for method in find(service).methods
    }


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
async def test_a_task_of_others_looks_on_the_wire_like_one_that_is_not_there(scene: Scene, stranger: str) -> None:
    """I5 (refusal): whatever it does, for every RPC; and nothing becomes of it."""
    await scene.set_up()
    before = await scene.all_as_of_owner()
    for name, fields in CALLS:
        missing = await scene.ask_of(name, stranger, NOT_THERE, **fields)
        assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
        for what, task_id in scene.task_ids.items():
            hidden = await scene.ask_of(name, stranger, task_id, **fields)
            assert as_of(hidden, task_id) == as_of(missing, NOT_THERE), (name, what)
    assert await scene.all_as_of_owner() == before


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
async def test_lists_do_not_tell_of_the_tasks_of_others(scene: Scene, stranger: str) -> None:
    """I5: with no filter, and with each that names something of theirs."""
    await scene.set_up()
    filters: list[dict[str, Any]] = [{}, {"session_id": "s-1"}]
    for task_id in scene.task_ids.values():
        filters += [{"root_task_id": task_id}, {"parent_task_id": task_id}]
    for wanted in filters:
        assert not (await scene.wire.call("ListTasks", token=stranger, **wanted)).tasks, wanted
    for wanted in ({}, {"session_id": "s-1"}):
        listed = (await scene.wire.call("ListTasks", token=OWNER, **wanted)).tasks
        assert {each.task_id for each in listed} == set(scene.task_ids.values())


async def test_the_request_id_of_others_is_free(scene: Scene) -> None:
    """I5, R8: who uses it as well has a task of its own."""
    await scene.set_up()
    for stranger in (STRANGERS["another user"], STRANGERS["the same user id in another tenant"]):
        run = {"agent_id": "greeter", "message": "hi", "request_id": REQUEST_ID}
        started = await scene.wire.call("RunAgent", token=stranger, **run)
        assert started.task.task_id not in scene.task_ids.values()


@pytest.mark.parametrize("caller", [OWNER, ADMIN], ids=["owner", "administrator"])
async def test_the_owner_and_the_administrators_of_its_tenant_see_it(scene: Scene, caller: str) -> None:
    """I5."""
    task = await run(scene.wire)
    for name, fields in CALLS:
        if name not in ALLOWED_OF_A_FINISHED_TASK:
            continue
        answer = await scene.ask_of(name, caller, task.task_id, **fields)
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
    """I5 (refusal): the refusal names the one that is not visible, whether it is there or not."""
    own, other = await run(wire, STRANGERS["another user"]), await run(wire)
    for task_id in (other.task_id, NOT_THERE):
        refusal = await wire.refusal("WaitTasks", token=STRANGERS["another user"], task_ids=[own.task_id, task_id])
        assert (refusal.reason, refusal.info.metadata["task_id"]) == ("TASK_NOT_FOUND", task_id)


async def test_a_list_holds_the_callers_tasks_alone(wire: Wire) -> None:
    """I5."""
    callers = [OWNER, STRANGERS["another user"], STRANGERS["the same user id in another tenant"]]
    made = [(await run(wire, caller, session_id="s-1")).task_id for caller in callers]
    lists = [[each.task_id for each in (await wire.call("ListTasks", token=caller)).tasks] for caller in callers]
    assert lists == [[task_id] for task_id in made]
    of_tenant = (await wire.call("ListTasks", token=ADMIN, session_id="s-1")).tasks
    assert [each.task_id for each in of_tenant] == [made[1], made[0]]
