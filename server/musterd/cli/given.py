"""Checks what the options of commands give."""

import json
from typing import cast

import typer


def json_value(text: str, option: str) -> object:
    """Returns the JSON that an option gives.

    Raises:
        typer.BadParameter: it is no JSON.
    """
    try:
        return json.loads(text)
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
