"""The edges of what requests may hold: the limit itself passes, one more does not."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.wire import Wire, wire_to

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing import serve
from musterd.transport.codec import requests
from musterd_client.codec import struct_to
from musterd_client.v1.component_pb2 import COMPONENT_KIND_AGENT, ComponentRef
from musterd_client.v1.run_pb2 import Part, UsageLimits

NO_TASK = "01890000-0000-7000-8000-000000000000"
PASSES = (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND)
Fields = dict[str, Any]


def run(**fields: Any) -> Fields:
    return {"agent_id": "any", "message": "hi", "background": True, **fields}


def steer(**fields: Any) -> Fields:
    return {"task_id": NO_TASK, "message": "m", **fields}


def todo(**fields: Any) -> Fields:
    return {"task_id": NO_TASK, "content": "c", **fields}


def seconds(length: int) -> Duration:
    return Duration(seconds=length)


def nested(depth: int) -> Struct:
    """Return an object that is `depth` values deep."""
    value: Any = 1
    for _ in range(depth - 1):
        value = {"in": value}
    return struct_to({"deep": value})


def nested_lists(depth: int) -> Struct:
    value = Value(number_value=1)
    for _ in range(depth - 1):
        value = Value(list_value=ListValue(values=[value]))
    return Struct(fields={"deep": value})


def component(id_chars: int) -> ComponentRef:
    return ComponentRef(kind=COMPONENT_KIND_AGENT, id="c" * id_chars)


def labels(count: int) -> dict[str, str]:
    return {f"label-{number}": "x" for number in range(count)}


DEEP = "factory_input.deep"
EDGES: list[tuple[str, str, str, int, Callable[[int], Fields]]] = [
    ("MAX_ID_CHARS", "RunAgent", "agent_id", 128, lambda size: run(agent_id="a" * size)),
    ("MAX_ID_CHARS", "RunAgent", "session_id", 128, lambda size: run(session_id="ß" * size)),
    ("MAX_ID_CHARS", "RunAgent", "user_id", 128, lambda size: run(user_id="u" * size)),
    ("MAX_ID_CHARS", "RunAgent", "request_id", 128, lambda size: run(request_id="r" * size)),
    ("MAX_ID_CHARS", "GetAgent", "agent_id", 128, lambda size: {"agent_id": "a" * size}),
    ("MAX_ID_CHARS", "ListTasks", "session_id", 128, lambda size: {"session_id": "s" * size}),
    ("MAX_ID_CHARS", "ListTasks", "parent_task_id", 128, lambda size: {"parent_task_id": "p" * size}),
    ("MAX_ID_CHARS", "ListTasks", "root_task_id", 128, lambda size: {"root_task_id": "r" * size}),
    ("MAX_ID_CHARS", "ListTasks", "component.id", 128, lambda size: {"component": component(size)}),
    ("MAX_ID_CHARS", "TaskStatus", "task_id", 128, lambda size: {"task_id": "t" * size}),
    ("MAX_ID_CHARS", "WatchTask", "task_id", 128, lambda size: {"task_id": "t" * size}),
    ("MAX_ID_CHARS", "WaitTasks", "task_ids[0]", 128, lambda size: {"task_ids": ["t" * size]}),
    ("MAX_ID_CHARS", "CancelTask", "task_id", 128, lambda size: {"task_id": "t" * size}),
    ("MAX_ID_CHARS", "SteerTask", "request_id", 128, lambda size: steer(request_id="r" * size)),
    ("MAX_ID_CHARS", "AnswerTask", "question_id", 128, lambda size: {"task_id": NO_TASK, "question_id": "q" * size}),
    ("MAX_LABELS", "RunAgent", "metadata", 32, lambda size: run(metadata=labels(size))),
    ("MAX_LABEL_KEY_CHARS", "RunAgent", f"metadata.{'k' * 64}", 64, lambda size: run(metadata={"k" * size: "x"})),
    ("MAX_LABEL_VALUE_CHARS", "RunAgent", "metadata.key", 1_024, lambda size: run(metadata={"key": "v" * size})),
    ("MAX_PARTS", "RunAgent", "parts", 64, lambda size: run(parts=[Part(text="x")] * size)),
    ("MAX_PAGE_SIZE", "ListTasks", "page_size", 1_000, lambda size: {"page_size": size}),
    ("MAX_PAGE_SIZE", "ListAgents", "page_size", 1_000, lambda size: {"page_size": size}),
    ("MAX_WAIT_TASKS", "WaitTasks", "task_ids", 100, lambda size: {"task_ids": [NO_TASK] * size}),
    ("MAX_WAIT_SECONDS", "WaitTasks", "timeout", 3_600, lambda size: {"task_ids": [NO_TASK], "timeout": seconds(size)}),
    ("MAX_INPUT_DEPTH", "RunAgent", DEEP + ".in" * 32, 32, lambda size: run(factory_input=nested(size))),
    ("MAX_INPUT_DEPTH", "RunAgent", DEEP + ".0" * 32, 32, lambda size: run(factory_input=nested_lists(size))),
    ("MAX_REASON_CHARS", "CancelTask", "reason", 1_024, lambda size: {"task_id": NO_TASK, "reason": "r" * size}),
    ("MAX_STEER_CHARS", "SteerTask", "message", 65_536, lambda size: steer(message="m" * size)),
    ("MAX_STEER_CHARS", "AnswerTask", "answer", 65_536, lambda size: {"task_id": NO_TASK, "answer": "a" * size}),
    ("MAX_TODO_CHARS", "AddTodo", "content", 20_000, lambda size: todo(content="c" * size)),
    ("MAX_TODOS", "AddTodo", "blocked_by", 1_000, lambda size: todo(blocked_by=["t-1"] * size)),
    (
        "MAX_MESSAGE_CHARS",
        "SendTeamMessage",
        "content",
        20_000,
        lambda size: {"task_id": NO_TASK, "content": "c" * size},
    ),
    ("of the runtime", "RunAgent", "run_timeout", 86_400, lambda size: run(run_timeout=seconds(size))),
    (
        "of the runtime",
        "RunAgent",
        "usage_limits.requests",
        1_000,
        lambda size: run(usage_limits=UsageLimits(requests=size)),
    ),
    ("of the RPC", "CancelTask", "grace", 3_600, lambda size: {"task_id": NO_TASK, "grace": seconds(size)}),
    ("of the RPC", "SteerTask", "wait_timeout", 300, lambda size: steer(wait_timeout=seconds(size))),
]
TESTED_BELOW = {"DEFAULT_PAGE_SIZE", "MAX_SAFE_INTEGER"}


class Seen:
    """The input that the factory saw last."""

    def __init__(self) -> None:
        self.input: Any = None

    def build(self, context: RequestContext) -> Agent[RequestContext, str]:
        self.input = context.input
        return Agent(saying("built"), deps_type=RequestContext)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def wire(seen: Seen) -> AsyncGenerator[Wire]:
    async with serve(Musterd(agents=[AgentFactory("any", seen.build)])) as client, wire_to(client.target) as wire:
        yield wire


@pytest.mark.parametrize(
    ("name", "path", "limit", "fields"),
    [pytest.param(name, *rest, id=f"{name}.{rest[0]}") for _, name, *rest in EDGES],
)
async def test_the_limit_passes_and_one_more_is_refused(
    wire: Wire, name: str, path: str, limit: int, fields: Callable[[int], Fields]
) -> None:
    """R1, R4, R5, R6: what passes here may still name a task that is not there."""
    assert (await wire.ask(name, **fields(limit))).code in PASSES
    refusal = await wire.refusal(name, **fields(limit + 1))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert refusal.paths == [path]


def test_every_limit_of_requests_has_its_edge_tested_at_its_value() -> None:
    """R1."""
    named = {name: value for name, value in vars(requests).items() if name.isupper() and isinstance(value, int | float)}
    tested = {what: limit for what, _, _, limit, _ in EDGES if what in named}
    assert named.keys() - TESTED_BELOW == tested.keys()
    assert {name: named[name] for name in tested} == tested


@pytest.mark.parametrize(
    ("number", "kind"),
    [(2**53, int), (-(2**53), int), (2.0**53 + 2, float), (-(2.0**53) - 2, float), (0.5, float), (-0.0, int)],
)
async def test_whole_numbers_are_int_as_far_as_a_double_holds_each(
    wire: Wire, seen: Seen, number: float, kind: type
) -> None:
    """C6."""
    await wire.call("RunAgent", **run(factory_input=struct_to({"number": float(number)})))
    assert seen.input == {"number": number}
    assert type(seen.input["number"]) is kind


async def test_a_page_without_a_size_has_fifty_rows(wire: Wire) -> None:
    """R4."""
    for _ in range(51):
        await wire.call("RunAgent", **run())
    page = await wire.call("ListTasks")
    assert len(page.tasks) == requests.DEFAULT_PAGE_SIZE == 50
    rest = await wire.call("ListTasks", page_token=page.next_page_token)
    assert (len(rest.tasks), rest.next_page_token) == (1, "")


async def test_server_info_names_the_limits_that_are_enforced(wire: Wire) -> None:
    """R1."""
    limits = (await wire.call("GetServerInfo")).limits
    assert limits.max_wait_tasks == requests.MAX_WAIT_TASKS
    assert limits.max_page_size == requests.MAX_PAGE_SIZE
    assert limits.max_run_timeout.seconds == 86_400
    assert limits.max_requests_per_run == 1_000
