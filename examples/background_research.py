"""An editor that has two topics researched in the background, and a client that answers what the researchers ask.

`python examples/background_research.py` plays it and needs no key. With a key, serve it
(`musterd serve examples.background_research:app`) and call `research` with a client of that server.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

from pydantic_ai import Agent
from pydantic_ai.models import Model

from musterd import Musterd
from musterd.subagents import SubAgentConfig, create_subagent_toolset
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, call, text
from musterd_client import MusterdClient, QuestionAsked, SubtaskEnded, SubtaskStarted

INSTRUCTIONS = (
    "Have the market and the law researched in the background, both at the same time. Wait for both with wait_tasks, "
    "and make one report of what they found. What they ask is answered by the user: then wait again."
)
RESEARCHERS = [
    SubAgentConfig(
        name="market",
        description="Knows who buys what.",
        instructions="Say who buys it. Ask for the country first: nothing can be said without it.",
        preferred_mode="async",
        max_questions=1,
    ),
    SubAgentConfig(
        name="law",
        description="Knows what may be sold.",
        instructions="Say which rules apply.",
        preferred_mode="async",
        can_ask_questions=False,
    ),
]


def make_app(model: Model | str) -> Musterd:
    """Return the app. The researchers have no model of their own, and so use the editor's."""
    editor = Agent(
        model,
        name="editor",
        instructions=INSTRUCTIONS,
        toolsets=[create_subagent_toolset(RESEARCHERS, include_general_purpose=False)],
        # A model that is given by name is looked for when it is first used, not when this module is imported.
        defer_model_check=True,
    )
    return Musterd(agents=[editor])


app = make_app("openai:gpt-5")


async def research(client: MusterdClient, topic: str, answer: Callable[[str], Awaitable[str]]) -> str:
    """Run the editor, have each question of its researchers answered, and return its report."""
    async with client.run_agent("editor", topic) as run:
        async for event in run:
            match event:
                case SubtaskStarted():
                    print(f"{event.subtask.id} starts: {event.description}")
                case QuestionAsked():
                    print(f"{event.component.id} asks: {event.text}")
                    await client.tasks.answer(event.task_id, await answer(event.text), event.question_id)
                case SubtaskEnded():
                    print(f"{event.subtask.id} ends: {event.state}")
                case _:
                    pass
        return (await run.result()).text


def play(request: ChatRequest) -> Turn:
    """Play the models: the editor is known by its tools, a researcher by whether it may ask."""
    results = request.tool_results
    if "task" in request.tool_names:
        return play_editor(results)
    if "ask_parent" not in request.tool_names:
        return text("Umbrellas need no permit.")
    if not results:
        return call("ask_parent", {"question": "In which country?"}, id="country")
    return text(f"In {results['country']} everybody buys umbrellas.")


def play_editor(results: Mapping[str, str]) -> Turn:
    """Start both researchers, wait until both are done, and say what they found."""
    if not results:
        market = {"description": "Who buys umbrellas?", "subagent_type": "market", "mode": "async"}
        law = {"description": "Who may sell umbrellas?", "subagent_type": "law", "mode": "async"}
        return call("task", market, id="market") + call("task", law, id="law")
    told = [*results.values()][-1]
    if "2/2 finished" in told:
        return text(" ".join(re.findall(r"COMPLETED\n(.+)", told)))
    task_ids = [re.findall("Task ID: (.+)", results[name])[0] for name in ("market", "law")]
    return call("wait_tasks", {"task_ids": task_ids}, id=f"wait-{len(results)}")


async def main() -> None:
    """Have umbrellas researched, for a user who answers at once."""

    async def answer(_: str) -> str:
        return "Ireland"

    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        print(await research(client, "Umbrellas", answer))


if __name__ == "__main__":
    asyncio.run(main())
