"""examples/background_research.py: work in the background, and questions that the client answers."""

import pytest
from examples.background_research import app, main, make_app, play, research

from musterd.domain.task import ComponentKind
from musterd.testing import serve
from musterd.testing.model import FakeModel
from musterd_client import QuestionAnswered, SubtaskStarted, TaskState, WatchUntil

REPORT = "In Peru everybody buys umbrellas. Umbrellas need no permit."


async def peru(question: str) -> str:
    assert question == "In which country?"
    return "Peru"


async def test_the_client_answers_and_the_editor_combines() -> None:
    """S7, R7: the answer of a client reaches a subagent in the background."""
    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        assert await research(client, "Umbrellas", peru) == REPORT


async def test_the_log_has_the_whole_tree() -> None:
    """S3, S6, R3: each researcher is a task of its own below the editor's."""
    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        await research(client, "Umbrellas", peru)
        (editor,) = [task async for task in client.tasks.list(agent_id="editor")]
        children = [task async for task in client.tasks.list(parent_task_id=editor.task_id)]
        async with client.tasks.watch(editor.task_id, until=WatchUntil.TREE) as watch:
            events = [event async for event in watch]

    started = [event for event in events if isinstance(event, SubtaskStarted)]
    assert {(event.subtask.id, event.in_background) for event in started} == {("market", True), ("law", True)}
    assert {(task.component.id, task.state) for task in children} == {
        ("market", TaskState.COMPLETED),
        ("law", TaskState.COMPLETED),
    }
    (answered,) = [event for event in events if isinstance(event, QuestionAnswered)]
    assert answered.answer == "Peru"
    assert answered.task_id in {task.task_id for task in children if task.component.id == "market"}
    assert editor.tree_usage is not None
    assert editor.tree_usage.requests == editor.usage.requests + sum(task.usage.requests for task in children)


async def test_only_the_researcher_that_may_ask_can_ask() -> None:
    """S2."""
    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        await research(client, "Umbrellas", peru)
    offered = {
        request.prompt.splitlines()[2]: request.tool_names for request in model.requests if "##" in request.prompt
    }
    assert offered == {"Who buys umbrellas?": ("ask_parent",), "Who may sell umbrellas?": ()}


async def test_the_example_runs_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """S3: also the app with the model of a provider is made without one."""
    await main()
    lines = capsys.readouterr().out.splitlines()
    assert "market asks: In which country?" in lines
    assert lines[-1] == "In Ireland everybody buys umbrellas. Umbrellas need no permit."
    assert [info.ref.id for info in app.registry.list(ComponentKind.AGENT)] == ["editor"]
