"""One server process with keys from a URL, used by the client, by buf curl through reflection, and by the commands."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.e2e.reading import is_dense, log_of
from tests.e2e.shop import SCOPES, Shop, open_shop
from tests.support.followers import Follower
from tests.support.processes import Process, finish

from musterd.cli.rendering import as_json
from musterd.testing.model import ChatRequest, Turn, call, gate, text
from musterd_client import (
    Event,
    HealthStatus,
    ModelRequestStarted,
    MusterdClient,
    PermissionDeniedError,
    TaskCompleted,
    TextDelta,
    ToolCallCompleted,
    ToolCallStarted,
    UnauthenticatedError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUN_KINDS = [
    "task_started",
    "model_request_started",
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
    """A shop with a server that runs, and where it listens on TCP."""

    shop: Shop
    tcp: str


def answer(request: ChatRequest) -> Turn:
    """Look an order up, then say where it is; halt on demand in the middle of that."""
    if not request.tool_results:
        return call("order_status", {"order_id": "17"})
    halt = gate(request.prompt) if request.prompt.startswith("halt") else Turn(steps=())
    return text("It is ") + halt + text("on its way.")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    async with (
        open_shop(tmp_path_factory.mktemp("shop"), answer) as shop,
        shop.serving() as server,
    ):
        yield Served(shop, (await server.logged("serving"))["tcp"])


@pytest_asyncio.fixture(loop_scope="module")
async def client(served: Served) -> AsyncGenerator[MusterdClient]:
    async with MusterdClient(served.tcp, token=served.shop.token()) as client:
        yield client


async def test_the_client_sees_the_events_of_a_run_with_a_tool(served: Served, client: MusterdClient) -> None:
    """R1, I2."""
    async with client.run_agent("support", "Where is order 17?") as run:
        events = [event async for event in run]
    assert [event.kind for event in events] == RUN_KINDS
    assert is_dense(events)
    assert "order_status 17 for ada" in served.shop.ledger()
    ...
