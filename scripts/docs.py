"""Writes what the docs take from the code and the protos; with --check only says whether it is up to date."""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import grpc
from grpc.aio import AioRpcError, Metadata
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from musterd.auth import RPC_ACCESS, Access, Gate, Scope
from musterd.domain.board import MAX_MESSAGE_CHARS, MAX_TODO_ATTEMPTS, MAX_TODO_CHARS, MAX_TODOS
from musterd.domain.errors import Reason
from musterd.domain.task import TERMINAL_STATES, TRANSITIONS
from musterd.domain.team_board import MAX_MESSAGES
from musterd.runtime.attempt.capability import RESULT_EVENT_MAX_BYTES
from musterd.settings import Settings
from musterd.store.blobs import INLINE_PART_MAX_BYTES
from musterd.transport import tasks as task_service
from musterd.transport.codec import requests, resolutions
from musterd.transport.errors import STATUS_OF
from musterd.transport.streaming import BATCH_MAX_BYTES
from musterd_client.errors import call_error_from

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PROTOS = ROOT / "protos" / "musterd" / "v1"
UNSPECIFIED = "UNSPECIFIED"
BLOCK = re.compile(r"(?P<begin><!-- made by scripts/docs\.py: (?P<name>\w+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)

TYPE_NAMES: Mapping[Any, str] = {
    str: "text",
    str | None: "text",
    bool: "true, false",
    int: "whole number",
    float: "number",
    Path | None: "path",
    SecretStr | None: "secret",
    tuple[str, ...]: "list",
    tuple[Path, ...]: "list of paths",
}
OCTAL_FIELDS = frozenset(("unix_socket_mode",))

FIXED_LIMITS: Mapping[str, float] = {
    "Characters of an id, and of a `request_id`": requests.MAX_ID_CHARS,
    "Parts of one run's input": requests.MAX_PARTS,
    "Bytes of a part that are kept with the task; a larger one is stored once by tenant and SHA-256": (
        INLINE_PART_MAX_BYTES
    ),
    "Labels of a task (`metadata`)": requests.MAX_LABELS,
    "Characters of a label's key": requests.MAX_LABEL_KEY_CHARS,
    "Characters of a label's value": requests.MAX_LABEL_VALUE_CHARS,
    "Levels of nesting in `factory_input`": requests.MAX_INPUT_DEPTH,
    "Characters of a steering message": requests.MAX_STEER_CHARS,
    "Seconds that SteerTask waits": task_service.MAX_STEER_WAIT_SECONDS,
    "Characters of an answer to a question": requests.MAX_STEER_CHARS,
    "Decisions in one ResolveTask": resolutions.MAX_RESOLUTIONS,
    "Characters of a reason for a decision": resolutions.MAX_RESOLUTION_REASON_CHARS,
    "Levels of nesting in the arguments or the result that a decision gives": resolutions.MAX_RESOLUTION_DEPTH,
    "Items of a team's todo list": MAX_TODOS,
    "Characters of a todo": MAX_TODO_CHARS,
    "Times that members may take a todo on before it fails": MAX_TODO_ATTEMPTS,
    "Messages of a team": MAX_MESSAGES,
    "Characters of a message within a team": MAX_MESSAGE_CHARS,
    "Characters of a reason to cancel": requests.MAX_REASON_CHARS,
    "Seconds of a cancel's grace": task_service.MAX_GRACE_SECONDS,
    "Tasks in one WaitTasks": requests.MAX_WAIT_TASKS,
    "Seconds that WaitTasks waits": requests.MAX_WAIT_SECONDS,
    "Rows of a page": requests.MAX_PAGE_SIZE,
    "Bytes of events after which a message of a stream is closed": BATCH_MAX_BYTES,
    "Bytes of a tool's result that its event carries; a larger one is stored and left out": RESULT_EVENT_MAX_BYTES,
}


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def comments(proto: str, member: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yields each member of a proto file that matches, with the text of the comment above it."""
    pending: list[str] = []
    for line in (PROTOS / proto).read_text().splitlines():
        text = line.strip()
        if text.startswith("//"):
            pending.append(text.removeprefix("//").strip())
            continue
        if found := re.fullmatch(member, text):
            yield found, " ".join(pending)
        pending = []


def reasons_block() -> str:
    """Returns the table of all reasons, with the status of each."""
    rows = (
        (f"`{found[1]}`", f"`{STATUS_OF[Reason(found[1])].name}`", text)
        for found, text in comments("error.proto", r"ERROR_REASON_(\w+) = \d+;")
        if found[1] != UNSPECIFIED
    )
    return table(("Reason", "Status of a refused call", "What it means"), rows)


def classes_block() -> str:
    """Returns the table of what the Python client raises for each status."""
    codes = dict.fromkeys(STATUS_OF.values())
    return table(("Status", "Class"), ((f"`{code.name}`", f"`{client_error(code)}`") for code in codes))


def client_error(code: grpc.StatusCode) -> str:
    """Returns the name of the class that the Python client raises for a status."""
    return type(call_error_from(AioRpcError(code, Metadata(), Metadata()))).__name__


def settings_block() -> str:
    """Returns the settings, a table for each section."""
    return "\n".join(section_text(name, info) for name, info in Settings.model_fields.items())


def limits_block() -> str:
    """Returns the table of the limits that are no settings."""
    return table(("What", "Most"), ((what, f"{most:,g}") for what, most in FIXED_LIMITS.items()))


def section_text(name: str, info: FieldInfo) -> str:
    """Returns one section of the settings."""
    fields = cast("type[BaseModel]", info.annotation).model_fields
    rows = (
        (f"`{field}`", values_of(each), default_of(field, each), each.description or "")
        for field, each in fields.items()
    )
    return f"## {name}\n\n{info.description}\n\n{table(('Field', 'Values', 'Default', 'What it is'), rows)}"


def values_of(info: FieldInfo) -> str:
    """Returns what a field may hold."""
    if get_origin(info.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(info.annotation))
    least: Any = next((each.ge for each in info.metadata if hasattr(each, "ge")), None)
    most: Any = next((each.le for each in info.metadata if hasattr(each, "le")), None)
    if least is None or most is None:
        return TYPE_NAMES[info.annotation]
    return f"0 to {most:o}, octal" if most == 0o777 else f"{least:,} to {most:,}"  # noqa: PLR2004 - the largest mode


def default_of(name: str, info: FieldInfo) -> str:
    """Returns a field's default as one would write it."""
    default: Any = info.default
    match default:
        case None:
            return "not set"
        case _ if default is PydanticUndefined:
            raise TypeError(f"{name} has no plain default")
        case bool(value):
            return str(value).lower()
        case int(value) if name in OCTAL_FIELDS:
            return f"0o{value:o}"
        case int() | float():
            return f"{default:,}"
        case tuple():
            return ", ".join(f"`{item}`" for item in cast("tuple[object, ...]", default)) or "empty"
        case value:
            return f"`{value}`"


def scopes_block() -> str:
    """Returns the table of what each RPC needs."""
    by_need: dict[str, list[str]] = {}
    for method, access in RPC_ACCESS.items():
        by_need.setdefault(need_of(access), []).append(method.rpartition(".")[2].replace("/", "."))
    return table(("RPC", "Needs"), ((", ".join(f"`{each}`" for each in rpcs), need) for need, rpcs in by_need.items()))


def need_of(access: Access) -> str:
    """Returns what an RPC needs, for people."""
    match access:
        case Gate.PUBLIC:
            return "nothing"
        case Gate.AUTHENTICATED:
            return "a valid token"
        case Gate.REFLECTION:
            return "a valid token, or nothing with `server.reflection` `open`"
        case Scope():
            actions = [f"`{access.resource}:{action}`" for action in access.actions]
            if access.per_component:
                actions += [f"`{access.resource}:<id>:{action}`" for action in access.actions]
            return " or ".join(actions)


def states_block() -> str:
    """Returns the diagram of the guarded table, and what each state means."""
    ends = [f"    {state.name}([{state.name}])" for state in sorted(TERMINAL_STATES)]
    edges = [
        f"    {old.name} --> {' & '.join(sorted(new.name for new in news))}"
        for old, news in TRANSITIONS.items()
        if news
    ]
    diagram = "\n".join(("flowchart LR", *ends, *edges))
    rows = (
        (f"`{found[1]}`", text)
        for found, text in comments("task.proto", r"TASK_STATE_(\w+) = \d+;")
        if found[1] != UNSPECIFIED
    )
    return f"```mermaid\n{diagram}\n```\n\n{table(('State', 'Meaning'), rows)}"


def events_block() -> str:
    """Returns the table of all kinds of events."""
    rows = ((f"`{found[1]}`", text) for found, text in comments("event.proto", r"[A-Z]\w+ (\w+) = [1-9]\d+;"))
    return table(("Event", "What happened"), rows)


BLOCKS = {
    "classes": classes_block,
    "events": events_block,
    "limits": limits_block,
    "reasons": reasons_block,
    "scopes": scopes_block,
    "settings": settings_block,
    "states": states_block,
}


def wanted() -> dict[Path, str]:
    """Returns each page that has generated blocks as it should be. Exits when a block has no place or no maker."""
    pages: dict[Path, str] = {}
    placed: set[str] = set()
    for path in DOCS.rglob("*.md"):
        text = path.read_text()
        if names := {found["name"] for found in BLOCK.finditer(text)}:
            placed |= names
            pages[path] = BLOCK.sub(lambda found: f"{found['begin']}\n{BLOCKS[found['name']]()}\n{found['end']}", text)
    if missing := BLOCKS.keys() - placed:
        sys.exit(f"no page of docs has a place for: {', '.join(sorted(missing))}")
    return pages


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a page differs")
    only_check: bool = parser.parse_args().check
    pages = wanted()
    differing = {path: text for path, text in pages.items() if path.read_text() != text}
    if only_check and differing:
        names = "\n".join(f"  {path.relative_to(ROOT)}" for path in sorted(differing))
        sys.exit(f"docs are not what the code says; run `make docs`:\n{names}")
    for path, text in differing.items():
        path.write_text(text)
    done = "are up to date" if only_check else f"written: {len(differing)} changed"
    print(f"generated docs {done} ({len(pages)} pages)")


if __name__ == "__main__":
    main()
