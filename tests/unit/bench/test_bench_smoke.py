"""The bench works. What it measures is not looked at: that needs a quiet machine and minutes."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
GUARD_SECONDS = 60


def test_a_row_of_the_bench_is_measured_and_written(tmp_path: Path) -> None:
    output = tmp_path / "build" / "bench.json"
    command = [sys.executable, "-m", "tests.bench", "--quick", "--only", "streamed", "--output", str(output)]
    printed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=GUARD_SECONDS, check=True
    ).stdout

    rows = json.loads(output.read_text())
    assert [set(row) for row in rows] == [{"name", "value", "unit", "target", "ok"}] * len(rows)
    assert all(row["name"] in printed and row["value"] > 0 for row in rows)
    ratio, *times = rows
    assert (ratio["unit"], ratio["target"], ratio["ok"]) == ("ratio", 0.6, ratio["value"] <= ratio["target"])
    assert [(row["unit"], row["target"], row["ok"]) for row in times] == [("ms", None, None)] * 2
