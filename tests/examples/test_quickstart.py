"""examples/quickstart.py, served and run."""

from examples.quickstart import app

from musterd.testing import serve
from musterd_client import ToolCallCompleted


async def test_the_quickstart_runs_without_a_key() -> None:
    """C1, C8, R1."""
    async with serve(app) as client:
        (agent,) = [agent async for agent in client.agents.list()]
        async with client.run_agent("support", "Where is my order?", user_id="ada") as run:
            events = [event async for event in run]

    assert (agent.agent_id, agent.is_factory) == ("support", True)
    assert [event.result_json for event in events if isinstance(event, ToolCallCompleted)] == [
        '"order a is on its way"'
    ]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "task_completed"
