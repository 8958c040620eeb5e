"""The bench works. What it measures is not looked at: that needs a quiet machine and minutes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.sampling import PARTS

ROOT = Path(__file__).resolve().parents[3]
GUARD_SECONDS = 60

Bench = Callable[..., tuple[list[dict[str, Any]], str]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Run the bench quickly; gives the rows that it wrote, and what it printed."""

    def run(*arguments: str) -> tuple[list[dict[str, Any]], str]:
        output = tmp_path / "build" / "bench.json"
        command = [sys.executable, "-m", "tests.bench", "--quick", *arguments, "--output", str(output)]
        printed = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=GUARD_SECONDS, check=True
        ).stdout
        return json.loads(output.read_text()), printed

    return run


def test_a_row_of_the_bench_is_measured_and_written(bench: Bench) -> None:
    rows, printed = bench("--only", "streamed")

    assert [set(row) for row in rows] == [{"name", "value", "unit", "target", "ok"}] * len(rows)
    assert all(row["name"] in printed and row["value"] > 0 for row in rows)
    ratio, *times = rows
    assert (ratio["unit"], ratio["target"], ratio["ok"]) == ("ratio", 0.6, ratio["value"] <= ratio["target"])
    assert [(row["unit"], row["target"], row["ok"]) for row in times] == [("ms", None, None)] * 2


def test_what_a_delegation_costs_is_measured_against_its_target(bench: Bench) -> None:
    """S13: the cost of a delegation is held to a figure."""
    rows, _ = bench("--only", "delegation")

    assert [row["target"] for row in rows] == [1.5, None, None, None]
    assert all(row["value"] > 0 for row in rows)


def test_what_background_children_cost_is_measured_and_can_be_profiled(bench: Bench) -> None:
    """S13: the cost of a child and its growth are held to figures, and each server says what part delegation has."""
    rows, printed = bench("--profile", "background-children")

    assert [row["target"] for row in rows] == [1.8, 1.2, None, None, None, None]
    assert all(row["value"] > 0 for row in rows)
    assert (printed.count("CPU by part"), printed.count("CPU by function")) == (2, 2)


@pytest.mark.parametrize(
    ("row", "targets"),
    [
        ("stored-tasks", [1.2, None] * 6),
        ("appending", [None] * 9 + [0.7, None, None]),
        ("postgres-cpu", [1.5, None, None, None] * 4),
        ("two-replicas", [None] * 10),
        ("across-replicas", [None] * 7),
    ],
)
def test_what_postgresql_and_replicas_cost_is_measured(bench: Bench, row: str, targets: list[float | None]) -> None:
    """R3. What is promised has its target; times and shares of the machine have none."""
    rows, _ = bench("--only", row)

    assert [row["target"] for row in rows] == targets


def test_the_parts_of_the_profile_name_files_that_there_are() -> None:
    """S13: a file that moves is not silently counted as something else."""
    server = ROOT / "server"
    own = [path for path in PARTS if path.startswith("musterd/")]

    assert [path for path in own if not (server / path).exists()] == []
