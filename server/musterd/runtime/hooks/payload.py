"""What is stored of hooks: what those in the background are called with, and what those in front have done."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict, JsonValue, TypeAdapter
from pydantic_ai.messages import ModelMessage
from pydantic_core import from_json, to_json

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.hook_run import HookPhase
from musterd.domain.task import Part, Usage
from musterd.hooks import RunInput, RunOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A run's input or output."""

    content: JsonValue
    input: JsonValue = None
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    usage: Usage


_CONFIG = ConfigDict(defer_build=True, ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
# pydantic takes a configuration for a union, but not for a bare dataclass.
_stored = TypeAdapter[_Stored | None](_Stored | None, config=_CONFIG)
_messages = TypeAdapter(list[ModelMessage], config=_CONFIG)


def copy_messages(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Return messages as they are after a restart: tools may have returned what cannot be copied otherwise."""
    return _messages.validate_json(_messages.dump_json(messages))


def dump_payload(subject: RunInput | RunOutput) -> bytes:
    """Return an input or output as JSON."""
    return _stored.dump_json(
        _Stored(
            content=subject.content,
            input=subject.input if isinstance(subject, RunInput) else None,
            messages=subject.messages,
            usage=subject.usage,
        )
    )


def load_payload(phase: HookPhase, run_id: str, data: bytes, parts: tuple[Part, ...]) -> RunInput | RunOutput:
    """Return what was stored by `dump_payload`; the parts of an input are stored with its task. Raises ValueError."""
    stored = _stored.validate_json(data)
    if stored is None:
        raise ValueError("what the hook is to be called with is not there")
    if phase is HookPhase.PRE:
        return RunInput(
            run_id=run_id,
            content=str(stored.content),
            parts=parts,
            input=stored.input,
            messages=stored.messages,
            usage=stored.usage,
        )
    return RunOutput(run_id=run_id, content=stored.content, messages=stored.messages, usage=stored.usage)


def dump_change(before: RunInput | RunOutput, after: RunInput | RunOutput) -> bytes:
    """Return what a hook has changed as JSON; empty when that is nothing."""
    changed = {
        name: getattr(after, name)
        for name in ("content", "input")
        if to_json(getattr(before, name, None)) != to_json(getattr(after, name, None))
    }
    return to_json(changed) if changed else b""


def dump_refusal(error: MusterdError) -> bytes:
    """Return why a hook stopped the run as JSON."""
    return to_json(
        {"reason": error.reason, "message": error.message, "cause": error.cause, "metadata": dict(error.metadata)}
    )


def load_refusal(data: bytes) -> MusterdError:
    """Return what was stored by `dump_refusal`."""
    stored: dict[str, Any] = from_json(data)
    return MusterdError(
        reason=Reason(stored["reason"]),
        message=stored["message"],
        cause=stored["cause"],
        metadata=stored["metadata"],
    )
