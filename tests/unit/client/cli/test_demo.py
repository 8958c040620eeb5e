import re

import pytest

from musterd.cli.demonstration import run_demo


async def test_the_demo_runs_an_agent_and_a_team_whose_members_have_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    """T1."""
    await run_demo()

    shown = capsys.readouterr().out
    assert len(re.findall(r"^task \S+ is COMPLETED", shown, re.MULTILINE)) == 2
    *_, leader, first, second = shown.splitlines()
    assert leader.startswith("advisers  COMPLETED")
    assert {line.split()[0] for line in (first, second)} == {"forecaster", "keeper"}
    assert all(line.startswith("  ") and "COMPLETED" in line for line in (first, second))
