"""Checks what the options of commands give."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar, cast

import typer

S = TypeVar("S", bound=StrEnum)


def parse_json(text: str) -> object:
    """Returns the JSON that somebody gives.

    Raises:
        ValueError: it is no JSON, or none that can be sent; the text says why.
    """
    try:
        value = json.loads(text)
        # Python reads more than JSON has: NaN, numbers that become infinite, halves of characters.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("it has half of a surrogate pair") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def json_value(text: str, option: str) -> object:
    """Returns the JSON that an option gives.

    Raises:
        typer.BadParameter: it is no JSON.
    """
    try:
        return parse_json(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from error


def json_object(text: str, option: str) -> dict[str, object]:
    """Returns the JSON object that an option gives.

    Raises:
        typer.BadParameter: it is no JSON object.
    """
    value = json_value(text, option)
    if not isinstance(value, dict):
        raise typer.BadParameter("not a JSON object", param_hint=option)
    return cast("dict[str, object]", value)


def refuse_several_components(agent: str, team: str, workflow: str) -> None:
    """Lets one component pass, or none.

    Raises:
        typer.BadParameter: there are more.
    """
    if [bool(agent), bool(team), bool(workflow)].count(True) > 1:
        raise typer.BadParameter("give one of --agent, --team and --workflow", param_hint="--agent")


def refuse_unknown(states: Sequence[S] | None) -> Sequence[S] | None:
    """Lets states pass that a server can be asked for.

    Raises:
        typer.BadParameter: one is UNKNOWN, which stands for those of a newer server.
    """
    if any(state.name == "UNKNOWN" for state in states or ()):
        raise typer.BadParameter("'unknown' stands for states of a newer server, and none can be asked for by it")
    return states
