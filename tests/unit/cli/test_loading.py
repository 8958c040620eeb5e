"""Which names of an app to serve are refused, and in which words."""

import sys
from pathlib import Path

import pytest

from musterd.cli.loading import AppNotFoundError, load_app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, from which modules are loaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.mark.parametrize("target", ["", "shop", "shop:", ":app", ".shop:app", "..:app"])
def test_what_names_no_app_is_refused(target: str) -> None:
    """C1."""
    with pytest.raises(AppNotFoundError, match="write module:attribute"):
        load_app(target)


@pytest.mark.parametrize("target", ["nowhere:app", "no_such_folder.shop:app", "shop.py:app"])
def test_a_module_that_is_not_there_is_named(target: str) -> None:
    """C1."""
    with pytest.raises(AppNotFoundError, match=f"there is no module '{target.partition(':')[0]}'"):
        load_app(target)


def test_what_the_module_itself_misses_is_not_the_module(folder: Path) -> None:
    """C1: though its name may begin as the module's does."""
    (folder / "missing_an_import.py").write_text("import missing_an\n")
    with pytest.raises(ModuleNotFoundError) as missed:
        load_app("missing_an_import:app")
    assert missed.value.name == "missing_an"
