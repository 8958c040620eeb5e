"""How an answer looks on the wire: an OpenAI chat completion, as one JSON object or as a stream of events."""

import json
from typing import Protocol, assert_never

from pydantic import JsonValue
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from musterd.testing.model_request import ChatRequest
from musterd.testing.model_turn import (
    CallArguments,
    CallStart,
    Delta,
    Failure,
    TextDelta,
    ThinkingDelta,
    Turn,
    UsageReport,
)

CREATED_SECONDS = 1_700_000_000
JsonObject = dict[str, JsonValue]


class Reply(Protocol):
    """Where the steps of one answer go, in their order; `fail` or `finish` comes last."""

    async def add(self, delta: Delta) -> None:
        """Take a piece of the answer."""
        ...

    async def fail(self, failure: Failure) -> None:
        """End the answer with an error."""
        ...

    async def finish(self, turn: Turn) -> None:
        """End the answer well."""
        ...


class WholeReply:
    """Collects the answer, and sends it as one JSON object."""

    def __init__(self, request: ChatRequest, scope: Scope, receive: Receive, send: Send) -> None:
        self._request = request
        self._asgi = (scope, receive, send)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[tuple[str, str, list[str]]] = []

    async def add(self, delta: Delta) -> None:
        """Keep a piece of the answer."""
        match delta:
            case TextDelta():
                self._text.append(delta.text)
            case ThinkingDelta():
                self._thinking.append(delta.text)
            case CallStart():
                self._calls.append((_call_id(self._request, delta, len(self._calls)), delta.tool, []))
            case CallArguments():
                self._calls[-1][2].append(delta.text)
            case _:
                assert_never(delta)

    async def fail(self, failure: Failure) -> None:
        """Send an HTTP error."""
        await JSONResponse(failure.body, failure.status, failure.headers)(*self._asgi)

    async def finish(self, turn: Turn) -> None:
        """Send what was kept."""
        message: JsonObject = {"role": "assistant", "content": "".join(self._text) or None}
        if self._thinking:
            message["reasoning_content"] = "".join(self._thinking)
        if self._calls:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": tool, "arguments": "".join(arguments)}}
                for call_id, tool, arguments in self._calls
            ]
        choice: JsonObject = {"index": 0, "message": message, "finish_reason": turn.finish_reason, "logprobs": None}
        body = _envelope(self._request, "chat.completion", choices=[choice], usage=_usage(turn.usage))
        await JSONResponse(body)(*self._asgi)


class StreamReply:
    """Sends each piece of the answer at once, as a chunk of an event stream."""

    def __init__(self, request: ChatRequest, scope: Scope, receive: Receive, send: Send) -> None:
        self._request = request
        self._asgi = (scope, receive, send)
        self._send = send
        self._begun = False
        self._calls = 0

    async def add(self, delta: Delta) -> None:
        """Send a piece of the answer."""
        await self._begin()
        match delta:
            case TextDelta():
                await self._send_choice({"content": delta.text})
            case ThinkingDelta():
                await self._send_choice({"reasoning_content": delta.text})
            case CallStart():
                call_id = _call_id(self._request, delta, self._calls)
                self._calls += 1
                function: JsonObject = {"name": delta.tool, "arguments": ""}
                await self._send_call({"id": call_id, "type": "function", "function": function})
            case CallArguments():
                await self._send_call({"function": {"arguments": delta.text}})
            case _:
                assert_never(delta)

    async def fail(self, failure: Failure) -> None:
        """Send an HTTP error, or an error event when the response has begun."""
        if self._begun:
            await self._send_data(json.dumps(dict(failure.body)), last=True)
        else:
            await JSONResponse(failure.body, failure.status, failure.headers)(*self._asgi)

    async def finish(self, turn: Turn) -> None:
        """Send the finish reason, the usage if the client asked for it, and the end mark."""
        await self._begin()
        await self._send_choice({}, finish_reason=turn.finish_reason)
        if self._request.stream_options.include_usage:
            await self._send_chunk(choices=[], usage=_usage(turn.usage))
        await self._send_data("[DONE]", last=True)

    async def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send_choice({"role": "assistant", "content": ""})

    async def _send_call(self, call: JsonObject) -> None:
        await self._send_choice({"tool_calls": [{"index": self._calls - 1, **call}]})

    async def _send_choice(self, delta: JsonObject, *, finish_reason: str | None = None) -> None:
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        await self._send_chunk(choices=[choice])

    async def _send_chunk(self, **content: JsonValue) -> None:
        await self._send_data(json.dumps(_envelope(self._request, "chat.completion.chunk", **content)))

    async def _send_data(self, data: str, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": not last})


def _envelope(request: ChatRequest, kind: str, **content: JsonValue) -> JsonObject:
    return {
        "id": f"chatcmpl-{request.number}",
        "object": kind,
        "created": CREATED_SECONDS,
        "model": request.model,
        **content,
    }


def _usage(report: UsageReport) -> JsonObject:
    return {
        "prompt_tokens": report.input_tokens,
        "completion_tokens": report.output_tokens,
        "total_tokens": report.input_tokens + report.output_tokens,
        "prompt_tokens_details": {"cached_tokens": report.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": report.reasoning_tokens},
    }


def _call_id(request: ChatRequest, start: CallStart, place: int) -> str:
    return start.id or f"call_{request.number}_{place + 1}"
