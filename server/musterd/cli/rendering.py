"""What the commands print: results to stdout, everything about them to stderr."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import cast

import typer
from rich.console import Console
from rich.text import Text

from musterd_client import (
    Approval,
    CallError,
    LoggedEvent,
    MusterdClientError,
    Task,
    TaskEndedError,
    UnavailableError,
    Usage,
)

_ADVICE = {
    "TOKEN_MISSING": "Give a token with --token or MUSTERD_TOKEN.",
    "TOKEN_INVALID": "Check the token, its issuer and its audience.",
    "TOKEN_EXPIRED": "Get a fresh token.",
    "SCOPE_MISSING": "Ask for a token with this scope.",
    "COMPONENT_NOT_FOUND": "Check the id.",
    "TASK_NOT_FOUND": "List yours with: musterd tasks list",
    "TASK_NOT_WAITING": "See what it waits for with: musterd tasks status",
    "SESSION_NOT_FOUND": "List yours with: musterd sessions list",
    "SESSION_FULL": "Begin another one with another --session.",
    "APPROVAL_NOT_FOUND": "See what is open with: musterd tasks status",
    "APPROVAL_CONFLICT": "See what became of it with: musterd tasks watch",
    "HOOK_RUN_NOT_FOUND": "List them with: musterd hooks list",
    "HOOK_RUN_NOT_RETRYABLE": "Retry those that are DEAD: musterd hooks list --state dead",
    "BOARD_NOT_FOUND": "Give the id of a team's task.",
    "MEMBER_NOT_FOUND": "See who is in the team with: musterd teams board",
    "REQUEST_ID_REUSED": "Use another --request-id for another request.",
    "INVALID_INPUT": "Correct --input.",
    "LOG_TRIMMED": "Watch after a later sequence with --after.",
    "STREAM_STALLED": "Watch the task again, or look at it with: musterd tasks status",
}

_DIRECTIONS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""They let a terminal show text in another order than it is read in: a tool's arguments would not be what they seem."""

_STEERING = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *_DIRECTIONS))
del _STEERING[ord("\n")], _STEERING[ord("\t")]

_ESCAPED_IN_JSON = {each: f"\\u{each:04x}" for each in _STEERING if each >= ord(" ")}
"""JSON itself escapes those that are below."""


def stdout() -> Console:
    """Returns the console for results."""
    return Console(highlight=False, soft_wrap=True)


def stderr() -> Console:
    """Returns the console for everything that is not a result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def harmless(text: str, console: Console) -> str:
    """Returns the text without what would steer a terminal; unchanged where no terminal reads it."""
    return text.translate(_STEERING) if console.is_terminal else text


def one_line(text: str, console: Console) -> str:
    """Returns the text without what would steer a terminal, or break the line."""
    return harmless(text, console).replace("\n", " ")


def print_error(error: MusterdClientError, advice: str) -> None:
    """Prints one line: the reason, the message, what is wrong in detail, and what to do about it."""
    console = stderr()
    parts = [str(error)]
    if isinstance(error, CallError):
        untold = [each for each in error.violations if not each.message or each.message not in error.message]
        parts += ["; ".join(f"{each.path}: {each.message or each.rule}" for each in untold)] if untold else []
    line = " ".join(one_line(part, console).rstrip(".") + "." for part in parts)
    console.print(Text.assemble(("error: ", "bold red"), line, " " if advice else "", advice))


def advice_for(error: MusterdClientError, target: str) -> str:
    """Returns what the caller can do about the error; nothing when there is nothing."""
    if isinstance(error, CallError) and error.retry_after_seconds is not None:
        return f"Try again in {error.retry_after_seconds:g} s."
    if isinstance(error, CallError) and error.reason == "SESSION_BUSY" and "task_id" in error.metadata:
        return f"See what its run waits for: musterd tasks status {error.metadata['task_id']}"
    if isinstance(error, TaskEndedError):
        return f"See: musterd tasks status {error.task.task_id}"
    if error.reason in _ADVICE:
        return _ADVICE[error.reason]
    if isinstance(error, UnavailableError):
        return f"Is a server running at {target}? --target or MUSTERD_TARGET names another."
    return ""


def as_json(value: object) -> object:
    """Returns the value as json.dumps takes it: objects for dataclasses (events with their kind), text for times."""
    match value:
        case datetime():
            return value.isoformat()
        case Mapping():
            items = cast("Mapping[str, object]", value)
            return {name: as_json(item) for name, item in items.items()}
        case tuple() | list():
            return [as_json(item) for item in cast("Sequence[object]", value)]
        case _ if is_dataclass(value):
            kind = {"kind": value.kind} if isinstance(value, LoggedEvent) else {}
            return kind | {name: as_json(getattr(value, name)) for name in _field_names(type(value))}
        case _:
            return value


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def print_json(value: object) -> None:
    """Prints the value as one line of JSON, at once. Nothing in it steers a terminal."""
    line = json.dumps(as_json(value), ensure_ascii=False, separators=(",", ":"))
    typer.echo(line.translate(_ESCAPED_IN_JSON))


def print_line(text: str) -> None:
    """Prints the text as one line, without blanks at its end."""
    console = stdout()
    console.out(one_line(text, console).rstrip())


def print_task_line(task: Task) -> None:
    """Prints the task in one line: id, state, component, time of its creation."""
    created = task.create_time.isoformat(timespec="seconds") if task.create_time else ""
    print_line(f"{task.task_id}  {task.state:<14}  {task.component.id:<20}  {created}")


def print_task(task: Task) -> None:
    """Prints all of the task that is set, a line for each field, and its result at the end."""
    console = stdout()
    described = {
        "task": task.task_id,
        "state": task.state,
        "component": task.component.id,
        "user": task.user_id,
        "session": task.session_id,
        "parent": task.parent_task_id,
        "description": task.description,
        "attempt": task.attempt,
        "created": task.create_time,
        "started": task.start_time,
        "ended": task.end_time,
        "last sequence": task.last_sequence,
        "usage": usage_line(task.usage),
        "tree usage": usage_line(task.tree_usage) if task.tree_usage else "",
        "labels": ", ".join(f"{name}={value}" for name, value in task.metadata.items()),
        "questions": "; ".join(f"{question.question_id}: {question.text}" for question in task.questions),
        "approvals": "; ".join(f"{each.approval_id}: {what_waits(each)}" for each in task.approvals),
        "error": f"{task.error.reason}: {task.error.message}" if task.error else "",
        "error id": task.error.error_id if task.error else "",
        "output": task.output.text if task.output else "",
    }
    for name, value in described.items():
        if value:
            console.out(f"{name + ':':<15}{harmless(str(value), console)}")


def what_waits(approval: Approval) -> str:
    """Returns what the approval is about, in one line."""
    about = f"{approval.tool_name} {approval.arguments_json}".rstrip()
    return (f"{about}: {approval.text}" if approval.text else about).replace("\n", " ")


def usage_line(usage: Usage) -> str:
    """Returns what was spent, in words."""
    return (
        f"{_count(usage.requests, 'request')}, {_count(usage.tool_calls, 'tool call')}, "
        f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
