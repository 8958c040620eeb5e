"""examples/newsletter.py: a workflow with steps side by side, a loop, a condition, and typed input."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from examples.newsletter import app, main, make_app, play
from tests.support.workflow_runs import Ran, run

from musterd.domain.task import ComponentKind
from musterd.testing import serve
from musterd.testing.model import FakeModel
from musterd_client import InvalidArgumentError, LoopTurned, MusterdClient, WorkflowStepKind

LINK = "https://example.com/a"


@asynccontextmanager
async def serving() -> AsyncGenerator[MusterdClient]:
    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        yield client


async def write(**wish: Any) -> Ran:
    async with serving() as client:
        return await run(client, "newsletter", "", factory_input=wish)


async def test_the_critic_has_the_draft_written_again() -> None:
    """W1, W2: a loop ends when its condition holds; the next draft goes by what was missing."""
    issue = await write(topic="umbrellas")
    assert issue.value == {"title": "Umbrellas", "body": "Umbrellas fold by themselves now. Take one.", "links": []}
    turns = [(event.turn, event.will_continue) for event in issue.events if isinstance(event, LoopTurned)]
    assert turns == [(1, True), (2, False)]


@pytest.mark.parametrize(("links", "story"), [([LINK, LINK], "chooses links"), ([], "chooses nothing")])
async def test_links_are_listed_when_there_are_any(links: list[str], story: str) -> None:
    """W1, W2: a condition on the typed input."""
    issue = await write(topic="umbrellas", links=links)
    assert issue.value["links"] == list(dict.fromkeys(links))
    assert f"has links {story}" in issue.story


async def test_input_that_does_not_fit_names_its_field() -> None:
    """C6 (refusal)."""
    async with serving() as client:
        with pytest.raises(InvalidArgumentError) as refused:
            await client.run_workflow("newsletter", factory_input={"topic": ""}).result()
    assert [each.path for each in refused.value.violations] == ["factory_input.topic"]


async def test_its_steps_are_listed() -> None:
    """C8, W1."""
    async with serving() as client:
        newsletter = await client.workflows.get("newsletter")
    assert [(step.name, step.kind) for step in newsletter.steps] == [
        ("research", WorkflowStepKind.PARALLEL),
        ("revise", WorkflowStepKind.LOOP),
        ("has links", WorkflowStepKind.CONDITION),
        ("layout", WorkflowStepKind.FUNCTION),
    ]


async def test_the_example_runs_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """W1: also the app with the models of a provider is made without one."""
    await main()
    lines = capsys.readouterr().out.splitlines()
    assert "turn 1 is over, another follows" in lines
    assert lines[-1].startswith('{"title": "Umbrellas"')
    assert [info.ref.id for info in app.registry.list(ComponentKind.WORKFLOW)] == ["newsletter"]
