"""Turns what pydantic-ai hands over into stored steps and back, through pydantic-ai's own type adapters."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_ai import RunContext

# RunContext.pending_messages is public, the type of its items is not.
from pydantic_ai._enqueue import EnqueueContent, PendingMessage, PendingMessagePriority
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturn, ToolReturnContent
from pydantic_ai.usage import RequestUsage, RunUsage

from musterd.domain.step import ToolStatus, ToolStep
from musterd.domain.task import Usage

_response = TypeAdapter(ModelResponse)
_request_usage = TypeAdapter(RequestUsage)
_tool_return: TypeAdapter[ToolReturn[Any]] = TypeAdapter(ToolReturn[Any])
_content: TypeAdapter[Any] = TypeAdapter(ToolReturnContent)

_TOOL_RETURN_PREFIX = b"R"
_CONTENT_PREFIX = b"C"


def dump_response(response: ModelResponse) -> bytes:
    """Return a model's response as JSON."""
    return _response.dump_json(response)


def load_response(data: bytes) -> ModelResponse:
    """Return the model's response that was stored."""
    return _response.validate_json(data)


def dump_request_usage(usage: RequestUsage) -> bytes:
    """Return what tries of a request spent as JSON; empty when it is nothing."""
    return _request_usage.dump_json(usage) if usage.has_values() else b""


def load_request_usage(data: bytes) -> RequestUsage:
    """Return what was stored by `dump_request_usage`."""
    return _request_usage.validate_json(data) if data else RequestUsage()


def dump_value(value: Any) -> bytes:
    """Return what a tool returned, so that `load_value` gives the model the same. Raises ValueError if it cannot be."""
    if isinstance(value, ToolReturn):
        return _TOOL_RETURN_PREFIX + _tool_return.dump_json(cast("ToolReturn[Any]", value))
    return _CONTENT_PREFIX + _content.dump_json(value)


def load_value(data: bytes) -> Any:
    """Return what a tool returned."""
    if data[:1] == _TOOL_RETURN_PREFIX:
        return _tool_return.validate_json(data[1:])
    return _content.validate_json(data[1:])


def result_json(value: Any) -> str:
    """Return the part of a tool's result that the model reads, as JSON."""
    content = value.return_value if isinstance(value, ToolReturn) else value
    return _content.dump_json(content).decode()


def usage_of(run: RunUsage, extra: RequestUsage | None = None) -> Usage:
    """Return pydantic-ai's usage as the domain's, with what a cut-off response spent on top."""
    extra = extra or RequestUsage()
    details = dict(run.details)
    for name, value in extra.details.items():
        details[name] = details.get(name, 0) + value
    return Usage(
        requests=run.requests,
        tool_calls=run.tool_calls,
        input_tokens=run.input_tokens + extra.input_tokens,
        output_tokens=run.output_tokens + extra.output_tokens,
        cache_read_tokens=run.cache_read_tokens + extra.cache_read_tokens,
        cache_write_tokens=run.cache_write_tokens + extra.cache_write_tokens,
        details=details,
    )


def usage_of_request(usage: RequestUsage) -> Usage:
    """Return what one model request spent."""
    return Usage(
        requests=1,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        details=dict(usage.details),
    )


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What one call of `enqueue` put in: parts beside the tool's result, or messages of their own."""

    messages: list[ModelMessage]
    priority: PendingMessagePriority
    is_beside_result: bool

    @classmethod
    def of(cls, pending: PendingMessage) -> "Enqueued":
        """Return what is to be stored of a pending message."""
        # Nothing public tells the two apart, and they end up in different places.
        is_beside_result = getattr(pending, "_tool_call", None) is not None
        return cls(pending.messages, pending.priority, is_beside_result)

    def enqueue_again(self, ctx: RunContext[Any]) -> None:
        """Put it into the conversation where it was, from within the same tool call."""
        content = (
            [part for message in self.messages for part in message.parts] if self.is_beside_result else self.messages
        )
        ctx.enqueue(*cast("list[EnqueueContent]", content), priority=self.priority)


_enqueued = TypeAdapter(list[Enqueued])


_sink: ContextVar[list[PendingMessage] | None] = ContextVar("musterd-enqueued", default=None)


def observe_enqueued(ctx: RunContext[Any]) -> None:
    """Note from now on what tool calls of this run put into the conversation.

    Every hook and tool gets a context of its own, but all share one queue: so that is what is observed.
    """
    queue: Any = ctx.pending_messages
    append = queue.append

    def append_and_note(pending: PendingMessage) -> None:
        append(pending)
        if (sink := _sink.get()) is not None:
            sink.append(pending)

    queue.append = append_and_note


@contextmanager
def noting_enqueued() -> Generator[list[PendingMessage]]:
    """Collect what is put into the conversation inside, also from threads that are started there."""
    sink: list[PendingMessage] = []
    token = _sink.set(sink)
    try:
        yield sink
    finally:
        _sink.reset(token)


def dump_enqueued(pending: Sequence[PendingMessage]) -> bytes:
    """Return what a tool call put into the conversation as JSON; empty when it is nothing."""
    return _enqueued.dump_json([Enqueued.of(each) for each in pending]) if pending else b""


def replay_tool(ctx: RunContext[Any], step: ToolStep) -> Any:
    """Do again to the run what a finished tool call did: its messages, its usage, its result or its failure."""
    if step.enqueued_json:
        for enqueued in _enqueued.validate_json(step.enqueued_json):
            enqueued.enqueue_again(ctx)
    match step.status:
        case ToolStatus.RETRY:
            raise ModelRetry(step.outcome_json.decode())
        case ToolStatus.FAILED:
            raise ToolFailed(step.outcome_json.decode())
        case _:
            ctx.usage.tool_calls += 1
            return load_value(step.outcome_json)
