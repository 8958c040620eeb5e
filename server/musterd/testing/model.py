"""A fake model on a real HTTP server: tests and demos drive pydantic-ai's own OpenAI model against a script.

async with FakeModel([call("add", {"a": 1, "b": 2}), text("3")]) as model:
    await Agent(model.as_model(), tools=[add]).run("1 + 2?")
model.assert_exhausted()
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from musterd.testing.model_exchange import Exchange
from musterd.testing.model_gates import Gates
from musterd.testing.model_request import ChatRequest, read_request
from musterd.testing.model_server import LoopbackServer
from musterd.testing.model_turn import (
    Turn,
    call,
    disconnect,
    error,
    error_body,
    finish,
    gate,
    text,
    thinking,
    usage,
)

if TYPE_CHECKING:
    from pydantic_ai.models.openai import OpenAIChatModel

__all__ = [
    "ChatRequest",
    "FakeModel",
    "Rule",
    "Turn",
    "call",
    "connect_model",
    "disconnect",
    "error",
    "finish",
    "gate",
    "text",
    "thinking",
    "usage",
]

Rule = Callable[[ChatRequest], Turn]

_PATH = "/v1/chat/completions"


class FakeModel:
    """A model that answers by script, and remembers what it was asked.

    The script is either turns, one for each request in the order of arrival, or a function that gives the turn for a
    request: it is called in the event loop, once per request, and must not block. A request that finds no turn left, or
    for which the function raises, is answered with HTTP 500 and a text that says so, and fails `assert_exhausted`.

    Use it as an async context manager. Leaving it cuts every answer that is still under way.
    """

    def __init__(self, script: Iterable[Turn] | Rule, *, wait_limit_seconds: float = 30) -> None:
        self._turns = deque[Turn](() if callable(script) else script)
        self._rule = script if callable(script) else self._next_turn
        self._wait_limit_seconds = wait_limit_seconds
        self._requests: list[ChatRequest] = []
        self._problems: list[str] = []
        self._gates = Gates()
        self._left: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._server = LoopbackServer(self._serve)
        self._cleanup = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._cleanup.enter_async_context(self._server)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cleanup.aclose()

    @property
    def base_url(self) -> str:
        """The address for an OpenAI client of this or another process. RuntimeError outside the context."""
        return f"{self._server.url}/v1"

    @property
    def requests(self) -> tuple[ChatRequest, ...]:
        """All requests so far, in the order of arrival."""
        return tuple(self._requests)

    def as_model(self, name: str = "fake-model") -> OpenAIChatModel:
        """Return pydantic-ai's OpenAI model, talking to this server until the context ends."""
        model = connect_model(self.base_url, name)
        self._cleanup.push_async_callback(model.client.close)
        return model

    async def reached(self, gate: str, *, times: int = 1) -> None:
        """Return once `times` answers have come to the gate. TimeoutError after the wait limit."""
        await self._wait(self._gates.reached(gate, times), f"gate {gate!r} was not reached {times} times")

    def release(self, gate: str) -> None:
        """Open the gate for the answers that wait there and for all later ones."""
        self._gates.release(gate)

    async def disconnected(self, number: int) -> None:
        """Return once the client of request `number` (from 1) left before its answer ended. TimeoutError as above."""
        await self._wait(self._left[number].wait(), f"the client of request {number} did not leave")

    def assert_exhausted(self) -> None:
        """Raise AssertionError if turns are left over, or if the script could not answer a request."""
        complaints = list(self._problems)
        if self._turns:
            complaints.append(f"{len(self._turns)} turns were not asked for, the next is {self._turns[0]}")
        if complaints:
            raise AssertionError("\n".join(complaints))

    async def _wait(self, condition: Awaitable[object], otherwise: str) -> None:
        try:
            async with asyncio.timeout(self._wait_limit_seconds):
                await condition
        except TimeoutError:
            seen = f"{len(self._requests)} requests came, gates reached: {self._gates.describe()}"
            raise TimeoutError("; ".join((otherwise, seen, *self._problems))) from None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Request(scope, receive)
        try:
            body = await http.body()
        except ClientDisconnect:
            return
        number = len(self._requests) + 1
        try:
            request = read_request(number, http.headers, body)
        except ValidationError as failure:
            problem = f"{http.method} {http.url.path} is not a chat request: {failure}"
            self._problems.append(problem)
            refusal = JSONResponse(error_body(problem), HTTPStatus.BAD_REQUEST)
            await refusal(scope, receive, send)
            return
        self._requests.append(request)
        if not await Exchange(request, scope, receive, send).play(self._decide(request), self._gates):
            self._left[number].set()

    def _decide(self, request: ChatRequest) -> Turn:
        try:
            return self._rule(request)
        except Exception as failure:  # noqa: BLE001 - whatever a test's rule raises is for the test to see
            reason = f"{type(failure).__name__}: {failure}"
            problem = f"no answer for request {request.number} ({request.prompt!r}): {reason}"
            self._problems.append(problem)
            return error(HTTPStatus.INTERNAL_SERVER_ERROR, problem)

    def _next_turn(self, _: ChatRequest) -> Turn:
        if not self._turns:
            raise LookupError("the script has no turn left")
        return self._turns.popleft()


def connect_model(base_url: str, name: str = "fake-model") -> OpenAIChatModel:
    """Return pydantic-ai's OpenAI model for the fake model at `base_url`, for example in another process.

    Its HTTP client heeds no proxy settings and does not retry: one request of an agent takes one turn of the script.
    """
    # About a second to import: not for those who only write scripts.
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient  # noqa: PLC0415
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

    http_client = DefaultAsyncHttpxClient(trust_env=False)
    client = AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0, http_client=http_client)
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))
