"""The journal of a run: what a new attempt needs so as not to do finished work again."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStep:
    """The model request number `step` of a task.

    `response_json` is empty while the request is under way. `steer_ids` names the messages from outside that this
    request was the first to hold, in order. `extra_usage_json` is what tries of this request spent that failed.
    `known_tools` names the tools that the response calls and that the component had.
    """

    step: int
    response_json: bytes = b""
    steer_ids: tuple[str, ...] = ()
    extra_usage_json: bytes = b""
    known_tools: tuple[str, ...] = ()


class ToolStatus(StrEnum):
    """How far a tool call got."""

    STARTED = "started"
    RETURNED = "returned"
    RETRY = "retry"
    FAILED = "failed"
    INVALID = "invalid"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStep:
    """One tool call of the response number `step`.

    `outcome_json` holds the returned value, or the message of a retry or failure. `enqueued_json` holds the messages
    that the tool put into the conversation. A `repeatable` tool may run again when it was cut off.
    """

    step: int
    tool_call_id: str
    tool_name: str
    status: ToolStatus
    repeatable: bool = False
    outcome_json: bytes = b""
    enqueued_json: bytes = b""


StepRecord = ModelStep | ToolStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """All steps of a task that are stored."""

    model_steps: Mapping[int, ModelStep]
    tool_steps: Mapping[tuple[int, str], ToolStep]
