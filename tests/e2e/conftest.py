"""What all end-to-end tests share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a short path: that of a unix socket may have about a hundred bytes."""
    return tmp_path_factory.mktemp("shop")
