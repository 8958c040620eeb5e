"""Stores on SQLite, in this process and in others."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

StartProcess = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a database may be."""
    return tmp_path / "musterd.db"


@pytest.fixture
def start_process(path: Path) -> Iterator[StartProcess]:
    """Return what starts a process with a store on `path`."""
    started: list[subprocess.Popen[str]] = []

    def start(action: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.store.store_process", action, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
