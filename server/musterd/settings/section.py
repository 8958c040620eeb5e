"""What all sections of the settings share."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr


class Section(BaseModel):
    """One table of musterd.toml. Knows its fields and no other, and never repeats a value in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


OptionalText = Annotated[str | None, BeforeValidator(_empty_is_none)]
OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_empty_is_none)]
TextList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
PathList = Annotated[tuple[Path, ...], BeforeValidator(_split_commas)]
"""Lists are lists in musterd.toml, and parted by commas in the environment."""
