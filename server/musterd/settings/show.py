"""Renders the settings in force for people, as TOML that could be a musterd.toml."""

import json
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr

from musterd.settings.load import DEFAULT_ORIGIN, FIELD_NAMES, LoadedSettings

MASK = "**********"
_OCTAL_FIELDS = frozenset(("server.unix_socket_mode",))


def show_settings(loaded: LoadedSettings) -> str:
    """Return all settings with the origin of each value. Secrets are masked; what is not set is a comment."""
    blocks: list[str] = []
    for section, fields in FIELD_NAMES.items():
        values = getattr(loaded.settings, section)
        lines = [f"[{section}]"]
        for field in fields:
            name = f"{section}.{field}"
            origin = loaded.origins.get(name, DEFAULT_ORIGIN)
            shown = values.shown_url if name == "store.url" else getattr(values, field)
            lines.append(_line(name, field, shown, origin))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _line(name: str, field: str, value: object, origin: str) -> str:
    if value is None:
        return f"# {field} is not set"
    if name in _OCTAL_FIELDS:
        return f"{field} = 0o{value:o}  # {origin}"
    return f"{field} = {_render(value)}  # {origin}"


def _render(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case SecretStr():
            return f'"{MASK}"'
        case tuple():
            return f"[{', '.join(_render(item) for item in cast('tuple[Any, ...]', value))}]"
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case _:
            raise TypeError(f"settings hold no {type(value).__name__}")
