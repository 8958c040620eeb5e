import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without any of our variables."""
    for name in [name for name in os.environ if name.upper().startswith("MUSTERD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
