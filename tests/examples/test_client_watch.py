"""examples/client_watch.py, against the quickstart."""

import pytest
from examples.client_watch import EVENTS_BEFORE_THE_DROP, run_and_watch
from examples.quickstart import app

from musterd.testing import serve


async def test_the_two_streams_together_are_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """R3."""
    async with serve(app) as client:
        sequences = await run_and_watch(client.target, "support", "Where is my order?")

    lines = capsys.readouterr().out.splitlines()
    assert sequences == list(range(1, len(sequences) + 1))
    assert sum(line.startswith("run") for line in lines) == EVENTS_BEFORE_THE_DROP
    assert lines[-1].startswith("COMPLETED: ")
