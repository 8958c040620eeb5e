"""Rules that every setting keeps."""

from typing import Any, cast

import pytest
from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from musterd.settings import Settings

SECTIONS = {name: cast("type[BaseModel]", info.annotation) for name, info in Settings.model_fields.items()}
FIELDS = {f"{section}.{name}": info for section, model in SECTIONS.items() for name, info in model.model_fields.items()}


def bounds_of(info: FieldInfo) -> set[type[Any]]:
    return {type(bound) for bound in info.metadata if isinstance(bound, Ge | Le)}


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_has_a_description_a_default_and_bounds(name: str) -> None:
    info = FIELDS[name]
    assert (info.description or "").endswith(".")
    assert not info.is_required()
    if info.annotation is int or info.annotation is float:
        assert bounds_of(info) == {Ge, Le}


@pytest.mark.parametrize("name", [name for name, info in FIELDS.items() if info.annotation is float])
def test_a_time_has_its_unit_in_its_name(name: str) -> None:
    assert name.endswith(("_seconds", "_ms"))


@pytest.mark.parametrize("name", FIELDS)
def test_a_default_is_one_that_could_be_given(name: str) -> None:
    section, _, field = name.partition(".")
    default = getattr(SECTIONS[section](), field)
    assert getattr(SECTIONS[section].model_validate({field: default}), field) == default
