"""Finds the settings: flags before environment before musterd.toml before defaults."""

import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from musterd.settings.tree import ENV_DELIMITER, ENV_PREFIX, Settings

CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"
CONFIG_FILE = "musterd.toml"
DEFAULT_ORIGIN = "default"
FLAG_ORIGIN = "flag"

FIELD_NAMES: Mapping[str, tuple[str, ...]] = {
    section: tuple(cast("type[BaseModel]", info.annotation).model_fields)
    for section, info in Settings.model_fields.items()
}
"""The fields of each section, in order."""

_VARIABLES = {
    f"{ENV_PREFIX}{section}{ENV_DELIMITER}{field}".upper(): (section, field)
    for section, fields in FIELD_NAMES.items()
    for field in fields
}

_Layer = Mapping[str, Any]


class SettingsError(Exception):
    """Settings that cannot be used. `problems` has a line for each; none repeats a value."""

    def __init__(self, problems: Collection[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """The settings, and where each value that is not a default came from, by its name: server.listen."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(
    flags: Mapping[str, Mapping[str, object]] | None = None,
    *,
    config_file: Path | None = None,
    other_variables: Collection[str] = (),
) -> LoadedSettings:
    """Return the settings in force. Raises SettingsError.

    `flags` are sections of fields that the command line sets. `config_file` must exist; without it the one that
    MUSTERD_CONFIG names must, and without that ./musterd.toml may. `other_variables` are the MUSTERD_ variables that
    somebody else reads: all others must be settings.
    """
    path = _config_path(config_file)
    of_file: _Layer = _read_file(path)
    of_flags: _Layer = flags or {}
    problems = [
        *_misshapen_sections(str(path), of_file),
        *_unknown_variables(other_variables),
        *_misshapen_sections(FLAG_ORIGIN, of_flags),
    ]
    if problems:
        raise SettingsError(problems)
    merged: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    _lay_over(merged, origins, str(path), of_file)
    _lay_over(merged, origins, ENV_PREFIX, EnvSettingsSource(Settings)())
    _lay_over(merged, origins, FLAG_ORIGIN, of_flags)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        # Without the cause: its text and its inputs may hold secrets.
        raise SettingsError(_explain(error, origins)) from None
    return LoadedSettings(settings=settings, origins=origins)


def _unknown_variables(others: Collection[str]) -> list[str]:
    known = {*_VARIABLES, CONFIG_VARIABLE, *others}
    names = sorted(name for name in os.environ if name.upper().startswith(ENV_PREFIX))
    return [
        f"{name}: unknown variable{_did_you_mean(name.upper(), known)}" for name in names if name.upper() not in known
    ]


def _config_path(config_file: Path | None) -> Path | None:
    named = str(config_file) if config_file is not None else os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise SettingsError([f"{path}: there is no such file"])
        return path
    return Path(CONFIG_FILE) if Path(CONFIG_FILE).is_file() else None


def _read_file(path: Path | None) -> _Layer:
    if path is None:
        return {}
    try:
        return TomlConfigSettingsSource(Settings, toml_file=path)()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: {error}"]) from error


def _misshapen_sections(origin: str, layer: _Layer) -> list[str]:
    problems: list[str] = []
    for section, fields in layer.items():
        if section not in FIELD_NAMES:
            problems.append(f"{section}: unknown section{_did_you_mean(section, FIELD_NAMES)} (from {origin})")
        elif not isinstance(fields, Mapping):
            problems.append(f"{section}: must be a section, not a value (from {origin})")
    return problems


def _lay_over(merged: dict[str, dict[str, Any]], origins: dict[str, str], origin: str, layer: _Layer) -> None:
    for section, fields in layer.items():
        merged.setdefault(section, {}).update(fields)
        for field in fields:
            name = f"{section}.{field}"
            origins[name] = f"{origin}{section}{ENV_DELIMITER}{field}".upper() if origin == ENV_PREFIX else origin


def _explain(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        name = ".".join(str(step) for step in detail["loc"][:2])
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            section, field = (str(step) for step in detail["loc"])
            message = f"unknown setting{_did_you_mean(field, FIELD_NAMES[section])}"
        origin = f" (from {origins[name]})" if name in origins else ""
        problems.append(f"{name}: {message}{origin}" if name else message)
    return problems


def _did_you_mean(name: str, known: Collection[str]) -> str:
    matches = get_close_matches(name, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
