"""What the fake model answers: a turn is a row of steps, written with the functions below and joined with `+`.

gate("start") + thinking("Hm.") + text("Hel", "lo") + call("add", {"a": 1}, id="c1") + usage(12, 3)
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import assert_never

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """A piece of the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """The head of a tool call. An empty id is replaced by one made of the request's number and the call's place."""

    tool: str
    id: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A piece of the JSON arguments of the call that was started last."""

    text: str


@dataclass(frozen=True, slots=True)
class Gate:
    """The answer stops here until the test releases the gate."""

    name: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The connection is cut here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An HTTP error, or an error event when the stream has already begun. It ends the answer."""

    status: int
    body: Mapping[str, JsonValue]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """The tokens that the answer claims to have cost."""

    input_tokens: int = 10
    output_tokens: int = 5
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """The finish reason, in place of the one that follows from the answer's content."""

    reason: str


Delta = TextDelta | ThinkingDelta | CallStart | CallArguments
Step = Delta | Gate | Disconnect | Failure | UsageReport | Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the model. Turns are values: `first + second` is a new turn with the steps of both."""

    steps: tuple[Step, ...]

    def __add__(self, other: "Turn") -> "Turn":
        return Turn(steps=self.steps + other.steps)

    def disconnect_after(self, chunks: int) -> "Turn":
        """Return this turn, cut off after its first `chunks` deltas; 0 cuts before the response begins.

        A delta is one text, thinking or arguments piece, or the head of a tool call. ValueError if there are too few.
        """
        kept: list[Step] = []
        for step in self.steps:
            if chunks == 0:
                break
            kept.append(step)
            chunks -= isinstance(step, Delta)
        if chunks:
            raise ValueError(f"the turn has {chunks} deltas too few to be cut there")
        return Turn(steps=(*kept, Disconnect()))

    @property
    def usage(self) -> UsageReport:
        """The last usage among the steps, or the default one."""
        reports = [step for step in self.steps if isinstance(step, UsageReport)]
        return reports[-1] if reports else UsageReport()

    @property
    def finish_reason(self) -> str:
        """The last finish reason among the steps, else `tool_calls` for a turn that calls tools, else `stop`."""
        reason = "stop"
        for step in self.steps:
            match step:
                case Finish():
                    return step.reason
                case CallStart():
                    reason = "tool_calls"
                case (
                    TextDelta() | ThinkingDelta() | CallArguments() | Gate() | Disconnect() | Failure() | UsageReport()
                ):
                    pass
                case _:
                    assert_never(step)
        return reason


def text(*deltas: str, chunks: int | None = None, gate: str | None = None) -> Turn:
    """Return a turn that says something, in the deltas as given, or split into `chunks` of about equal length."""
    return _gated(gate, *(TextDelta(piece) for piece in _split(deltas, chunks)))


def thinking(*deltas: str, chunks: int | None = None, gate: str | None = None) -> Turn:
    """Return a turn that reasons, in deltas like those of `text`. It is sent as `reasoning_content`."""
    return _gated(gate, *(ThinkingDelta(piece) for piece in _split(deltas, chunks)))


def call(
    tool: str,
    arguments: Mapping[str, JsonValue] | str | None = None,
    *,
    id: str = "",  # noqa: A002 - as the field is called on the wire
    chunks: int = 1,
    gate: str | None = None,
) -> Turn:
    """Return a turn that calls a tool; join several with `+` for parallel calls.

    `arguments` given as a string are sent as they are, valid JSON or not. In a stream they come in `chunks` pieces.
    """
    encoded = arguments if isinstance(arguments, str) else json.dumps(dict(arguments or {}))
    pieces = (CallArguments(piece) for piece in _split((encoded,), chunks))
    return _gated(gate, CallStart(tool, id), *pieces)


def gate(name: str) -> Turn:
    """Return a turn that waits until the test releases `name`; without that, until the client goes away.

    Before everything else it holds back the whole response, between two deltas it stops the stream. A released gate
    stays open.
    """
    return Turn(steps=(Gate(name),))


def disconnect() -> Turn:
    """Return a turn that cuts the connection: without any response, or in mid-stream when joined to other turns."""
    return Turn(steps=(Disconnect(),))


def error(
    status: int, body: Mapping[str, JsonValue] | str | None = None, headers: Mapping[str, str] | None = None
) -> Turn:
    """Return a turn that fails: an HTTP error, or after other deltas of a stream an error event.

    A string becomes the message of an error body in OpenAI's shape; an object is sent as it is.
    """
    if body is None or isinstance(body, str):
        body = error_body(body or f"scripted error {status}")
    return Turn(steps=(Failure(status=status, body=body, headers=dict(headers or {})),))


def usage(input_tokens: int, output_tokens: int, *, cached_tokens: int = 0, reasoning_tokens: int = 0) -> Turn:
    """Return a turn without content that sets what the turn it is joined to reports as its cost."""
    report = UsageReport(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached_tokens,
        reasoning_tokens=reasoning_tokens,
    )
    return Turn(steps=(report,))


def finish(reason: str) -> Turn:
    """Return a turn without content that sets the finish reason (such as `length`) of what it is joined to."""
    return Turn(steps=(Finish(reason),))


def error_body(message: str) -> dict[str, JsonValue]:
    """Return an error body in OpenAI's shape."""
    return {"error": {"message": message, "type": "fake_model", "param": None, "code": None}}


def _gated(name: str | None, *steps: Step) -> Turn:
    return Turn(steps=steps if name is None else (Gate(name), *steps))


def _split(deltas: tuple[str, ...], chunks: int | None) -> Iterator[str]:
    if chunks is None:
        yield from deltas
        return
    whole = "".join(deltas)
    count = max(1, min(chunks, len(whole)))
    bounds = [len(whole) * place // count for place in range(count + 1)]
    for start, end in pairwise(bounds):
        yield whole[start:end]
