"""One server process with keys from a URL, used by the client, by buf curl through reflection, and by the commands."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from tests.e2e.reading import is_dense, log_of
from tests.e2e.shop import SCOPES, Shop, open_shop
from tests.support.processes import Finished, Process, finish

from musterd.cli.rendering import as_json
from musterd.testing.model import ChatRequest, Turn, call, gate, text
from musterd_client import (
    HealthStatus,
    MusterdClient,
    PermissionDeniedError,
    TaskCompleted,
    ToolCallCompleted,
    UnauthenticatedError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = [
    "task_started",
    "model_request_started",
    "tool_call_arguments_delta",
    "tool_call_arguments_delta",
    "model_request_completed",
    "tool_call_started",
    "tool_call_completed",
    "model_request_started",
    "text_delta",
    "text_delta",
    "model_request_completed",
    "task_completed",
]


@dataclass(frozen=True)
class Served:
    """A shop whose server runs, and where that listens on TCP."""

    shop: Shop
    tcp: str

    def client(self, token: str | None = None) -> MusterdClient:
        return MusterdClient(self.tcp, token=token or self.shop.token())


def answer(request: ChatRequest) -> Turn:
    """Look the order up, then say where it is, with a halt in between for those who ask for it."""
    if not request.tool_results:
        return call("order_status", {"order_id": "17"})
    if request.prompt == "Halt.":
        return text("It is ") + gate("halt") + text("on its way.")
    return text("It is ", "on its way.")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    async with open_shop(tmp_path_factory.mktemp("shop"), answer) as shop, shop.serving() as server:
        yield Served(shop, (await server.logged("serving"))["tcp"])


async def test_the_client_sees_all_events_of_a_run(served: Served) -> None:
    """R1, I2."""
    token = served.shop.token("grace")
    async with served.client(token) as client, client.run_agent("support", "Where is order 17?") as run:
        events = [event async for event in run]
        health = await client.health("musterd.v1.AgentService")
    assert [event.kind for event in events] == KINDS
    assert is_dense(events)
    assert [event.result_json for event in events if isinstance(event, ToolCallCompleted)] == [
        '"order 17 is on its way"'
    ]
    assert isinstance(events[-1], TaskCompleted)
    assert events[-1].output.text == run.text == "It is on its way."
    assert served.shop.ledger().count("order_status 17 for grace") == 1
    assert (run.task.tenant_id, run.task.user_id) == ("acme", "grace")
    assert health is HealthStatus.SERVING


@pytest.mark.parametrize(
    ("tier", "scope", "tools"),
    [
        ("gold", f"{SCOPES} refunds:write", ("order_status", "refund")),
        ("free", SCOPES, ("order_status",)),
    ],
    ids=["gold", "free"],
)
async def test_a_factory_builds_by_the_tier_and_the_scopes_of_the_token(
    served: Served, tier: str, scope: str, tools: tuple[str, ...]
) -> None:
    """C10."""
    message = f"Where is order 17, for the {tier} tier?"
    async with served.client(served.shop.token(scope=scope, tier=tier)) as client:
        await client.run_agent("support", message).result()
    (request, _) = (each for each in served.shop.model.requests if each.prompt == message)
    assert request.tool_names == tools
    assert request.instructions == f"You serve a customer of the {tier} tier."


async def test_a_caller_without_a_token_or_a_scope_is_refused(served: Served) -> None:
    """I1, I4 (refusal)."""
    async with MusterdClient(served.tcp) as nobody, served.client(served.shop.token(scope="tasks:read")) as reader:
        with pytest.raises(UnauthenticatedError, match="TOKEN_MISSING"):
            await nobody.run_agent("support", "Hello?").start()
        with pytest.raises(PermissionDeniedError, match="SCOPE_MISSING"):
            await reader.run_agent("support", "Hello?").start()


@pytest.mark.parametrize("reflection", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_curl_runs_an_agent_through_reflection(served: Served, reflection: str) -> None:
    """R1, I4."""
    arguments = ("--reflect-protocol", reflection, "--reflect-header", "*")
    ran = await curl(served, "RunAgent", *arguments, "--header", f"authorization: Bearer {served.shop.token()}")
    assert ran.code == 0, ran.stderr
    messages = documents_in(ran.stdout)
    events = [event for message in messages for event in message["events"]]
    assert messages[0]["task"]["component"]["id"] == "support"
    assert [int(event["sequence"]) for event in events] == list(range(1, len(KINDS) + 1))
    assert [snake_case(next(reversed(event))) for event in events] == KINDS
    assert events[-1]["taskCompleted"]["output"]["text"] == "It is on its way."


async def test_buf_curl_without_a_token_learns_nothing_of_the_contract(served: Served) -> None:
    """I4."""
    ran = await curl(served, "RunAgent")
    assert (ran.code != 0, ran.stdout) == (True, "")


async def test_a_client_killed_in_mid_stream_goes_on_with_the_next_event(served: Served) -> None:
    """R3."""
    shop = served.shop
    variables = {**shop.variables, "MUSTERD_TARGET": served.tcp, "MUSTERD_TOKEN": shop.token()}
    command = ("run", "agent", "support", "Halt.", "--json")
    async with Process("musterd", *command, folder=shop.folder, variables=variables) as reader:
        await reader.printed(lambda line: '"kind":"text_delta"' in line)
        await shop.model.reached("halt")
        await reader.kill()
    seen = [json.loads(line) for line in reader.lines]
    shop.model.release("halt")
    async with served.client() as client:
        rest = await log_of(client, seen[0]["task_id"], after_sequence=seen[-1]["sequence"])
        whole = await log_of(client, seen[0]["task_id"])
    assert [event["kind"] for event in seen] == KINDS[:9]
    assert [event.kind for event in rest] == KINDS[9 - len(KINDS) :]
    assert seen + [as_json(event) for event in rest] == [as_json(event) for event in whole]
    assert is_dense(whole)


async def test_the_health_command_tells_that_the_server_serves(served: Served) -> None:
    asked = await finish(
        "musterd", "health", "--target", served.tcp, folder=served.shop.folder, variables=served.shop.variables
    )
    assert asked == Finished(code=0, stdout="SERVING\n", stderr="")


async def test_the_commands_run_an_agent_and_show_its_task(served: Served) -> None:
    """R1, R4."""
    shop = served.shop
    ran = await shop.command("run", "agent", "support", "Where is order 17?", "--json")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    task_id = events[0]["task_id"]
    status = ("tasks", "status", task_id)
    shown, told = await asyncio.gather(shop.command(*status), shop.command(*status, "--json"))
    assert [(each.code, each.stderr) for each in (ran, shown, told)] == [(0, "")] * 3
    assert [event["kind"] for event in events] == KINDS
    assert [event["sequence"] for event in events] == list(range(1, len(KINDS) + 1))
    assert f"task:          {task_id}\nstate:         COMPLETED\n" in shown.stdout
    assert json.loads(told.stdout)["output"]["text"] == "It is on its way."


async def curl(served: Served, rpc: str, *arguments: str) -> Finished:
    return await finish(
        "buf",
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        *arguments,
        "--data",
        '{"agent_id": "support", "message": "Where is order 17?"}',
        f"http://{served.tcp}/musterd.v1.AgentService/{rpc}",
        folder=served.shop.folder,
        variables={},
    )


def documents_in(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a text, which has one after the other."""
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
