"""The character NUL, which PostgreSQL cannot hold: ids and names must not have it, texts may, on each store."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.gated_model import prompts_in
from tests.support.stage import Stage, do, wait
from tests.support.wire import METHODS, Wire, wire_to

from musterd import AgentFactory, Musterd, RequestContext
from musterd.app import Service
from musterd.settings import migrate_store
from musterd.store.postgres.connection import Database
from musterd.testing.serving import serve_settings
from musterd_client.codec import struct_to
from musterd_client.v1.component_pb2 import COMPONENT_KIND_AGENT, ComponentRef
from musterd_client.v1.run_pb2 import Part
from musterd_client.v1.task_service_pb2 import Resolution, Verdict

WITH_NUL = "a\0b"
TEXTS = frozenset(
    (
        "RunAgent.message",
        "RunTeam.message",
        "RunWorkflow.message",
        "AddTodo.content",
        "SendTeamMessage.content",
        "SteerTask.message",
        "AnswerTask.answer",
        "CancelTask.reason",
    )
)
"""What people say: the only text fields of requests that are neither ids nor names, but for tokens of pages."""

OTHERS: dict[str, dict[str, Any]] = {
    "RunAgent": {"agent_id": "echo", "message": "hi"},
    "RunTeam": {"team_id": "press", "message": "hi"},
    "RunWorkflow": {"workflow_id": "intake", "message": "hi"},
    "AddTodo": {"content": "print"},
    "SendTeamMessage": {"content": "hear"},
    "SteerTask": {"message": "on"},
    "GetSession": {"session_id": "s-1"},
    "DeleteSession": {"session_id": "s-1"},
    "RetryHookRun": {"hook_run_id": "h-1"},
    "ResolveTask": {"resolutions": [Resolution(approval_id="a-1", verdict=Verdict.VERDICT_APPROVE)]},
}
"""What calls need beside the field that is wrong."""

NESTED: Sequence[tuple[str, str, dict[str, Any]]] = [
    (name, "component.id", {"component": ComponentRef(kind=COMPONENT_KIND_AGENT, id=WITH_NUL)})
    for name in ("ListTasks", "ListSessions", "GetSession", "DeleteSession")
] + [
    (
        "ResolveTask",
        "resolutions[0].approval_id",
        {"resolutions": [Resolution(approval_id=WITH_NUL, verdict=Verdict.VERDICT_APPROVE)]},
    )
]


def build(context: RequestContext) -> Agent[RequestContext, str]:
    return Agent(FunctionModel(stream_function=echo), deps_type=RequestContext, system_prompt=str(context.input))


async def echo(messages: list[ModelMessage], info: AgentInfo) -> AsyncGenerator[str]:
    yield prompts_in(messages)[-1]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the settings of an empty store."""
    if request.param == "sqlite":
        return {}
    database: Database = request.getfixturevalue("postgres_database")
    return {"url": database.dsn, "db_schema": database.schema}


@pytest.fixture
async def wire(store: dict[str, Any], tmp_path: Path) -> AsyncGenerator[Wire]:
    settings = serve_settings(tmp_path, store=store)
    if settings.store.is_shared:
        await migrate_store(settings.store)
    service = Service(Musterd(agents=[AgentFactory("echo", build), Stage().agent()]), settings)
    await service.start()
    async with wire_to(f"unix:{settings.server.unix_socket}") as wire:
        yield wire
    await service.stop()


def names_of(request: Descriptor) -> Iterator[FieldDescriptor]:
    """Yield the fields of a request that hold ids and names."""
    for field in request.fields:
        is_name = field.type == field.TYPE_STRING and field.name != "page_token"
        if is_name and f"{request.name.removesuffix('Request')}.{field.name}" not in TEXTS:
            yield field


async def test_no_id_and_no_name_of_any_request_has_the_character(wire: Wire) -> None:
    """R1, I5 (refusal): on each store with the path of the field, and nothing becomes of it."""
    task_id = (await wire.call("RunAgent", agent_id="echo", message="hi")).task.task_id
    cases = list(NESTED)
    for name, method in METHODS.items():
        for field in names_of(method.request.DESCRIPTOR):
            is_list = field.is_repeated
            path = f"{field.name}[0]" if is_list else field.name
            cases.append((name, path, {field.name: [WITH_NUL] if is_list else WITH_NUL}))
    for name, path, fields in cases:
        about = {"task_id": task_id} if "task_id" in METHODS[name].request.DESCRIPTOR.fields_by_name else {}
        refusal = await wire.refusal(name, **{**about, **OTHERS.get(name, {}), **fields})
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"), (name, path)
        assert refusal.paths == [path], name
        assert "NUL" in refusal.text
    assert [task.task_id for task in (await wire.call("ListTasks")).tasks] == [task_id]


async def test_what_people_say_may_have_it_and_comes_back_as_it_was(wire: Wire) -> None:
    """R1, R3."""
    started = await wire.call(
        "RunAgent",
        agent_id="echo",
        message=WITH_NUL,
        session_id="s-1",
        parts=[Part(name=WITH_NUL, text=WITH_NUL)],
        factory_input=struct_to({WITH_NUL: [WITH_NUL]}),
        metadata={WITH_NUL: WITH_NUL},
    )
    task_id = started.task.task_id
    await wire.call("WaitTasks", task_ids=[task_id])
    ended = (await wire.call("TaskStatus", task_id=task_id)).task
    assert ended.output.text == str([WITH_NUL, WITH_NUL])
    assert dict(ended.metadata) == {WITH_NUL: WITH_NUL}
    session = await wire.call("GetSession", session_id="s-1")
    assert WITH_NUL in session.entries[0].messages[0].text


@pytest.mark.parametrize("task_id", [WITH_NUL, ""], ids=ascii)
async def test_an_id_that_a_model_makes_up_is_one_that_is_not_there(wire: Wire, task_id: str) -> None:
    """S2: whatever characters it has, the model is told so, and the run goes on."""
    about = {"task_id": task_id}
    calls = ("check_task", about), ("answer_subagent", {**about, "answer": "x"}), ("hard_cancel_task", about)
    started = await wire.call("RunAgent", agent_id="boss", message=do(wait(task_id), *calls, "gone on"))
    ended = (await wire.call("TaskStatus", task_id=started.task.task_id)).task
    assert (ended.output.text, ended.error.message) == ("gone on", "")
