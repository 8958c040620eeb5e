"""examples/concierge.py: a conversation over several runs that makes itself shorter."""

import pytest
from examples.concierge import MOST_MESSAGES, app, main, make_app, play, say

from musterd.domain.task import ComponentKind
from musterd.testing import serve
from musterd.testing.model import FakeModel


async def test_the_concierge_knows_what_was_said_in_earlier_runs() -> None:
    """N1."""
    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        await say(client, "a", "I am vegetarian.")
        assert await say(client, "a", "And for dinner?") == "The garden restaurant."
        assert await say(client, "b", "And for dinner?") == "The steak house."


async def test_a_long_stay_does_not_become_a_long_history() -> None:
    """N1: what was said first is still known."""
    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        await say(client, "a", "I am vegetarian.")
        for number in range(10):
            await say(client, "a", f"wish {number}")
        assert await say(client, "a", "And for dinner?") == "The garden restaurant."
        session = await client.sessions.get("a")
    assert session.run_count == 12
    assert session.message_count <= MOST_MESSAGES + 1


async def test_the_example_runs_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """N1: also the app with the models of a provider is made without one."""
    await main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["The garden restaurant.", "The steak house."]
    assert lines[2].startswith("5 runs, ")
    assert lines[3] == "['stay-8']"
    assert [info.ref.id for info in app.registry.list(ComponentKind.AGENT)] == ["concierge"]
