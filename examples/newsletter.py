"""A newsletter as a workflow: two agents look around at once, a writer and a critic take turns, a function ends it.

`python examples/newsletter.py` plays it and needs no key. With a key, serve it:
`musterd serve examples.newsletter:app`. Stop the server while it works, and start it again: it goes on where it was.
"""

import asyncio

from pydantic import BaseModel, Field
from pydantic_ai import Agent
from pydantic_ai.models import Model

from musterd import Condition, Loop, Musterd, Parallel, Step, StepInput, Workflow
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, text
from musterd_client import BranchChosen, LoopTurned, StepCompleted

ACCEPTED = "ACCEPTED"


class Wish(BaseModel):
    """What a run is given in place of a message; checked before anything runs."""

    topic: str = Field(min_length=1, max_length=100)
    links: list[str] = Field(default_factory=list[str], max_length=20)


class Issue(BaseModel):
    """What comes of it."""

    title: str
    body: str
    links: list[str]


def is_accepted(given: StepInput) -> bool:
    """End the loop when the critic has nothing more to say."""
    return given.previous is not None and given.previous.content.startswith(ACCEPTED)


def has_links(given: StepInput) -> bool:
    """Look into the input."""
    return bool(given.input.links)


def list_links(given: StepInput) -> list[str]:
    """Clean up what the input links to: the same link is listed once."""
    return list(dict.fromkeys(given.input.links))


def lay_out(given: StepInput) -> Issue:
    """Put together what the steps have given. What a step returns is stored: it runs once, whatever happens."""
    links = given.outputs.get("links")
    return Issue(
        title=given.input.topic.capitalize(),
        body=given.outputs["writer"].content,
        links=links.value if links is not None else [],
    )


def make_app(model: Model | str) -> Musterd:
    """Return the app."""

    def agent(name: str, instructions: str) -> Agent:
        return Agent(model, name=name, instructions=instructions, defer_model_check=True)

    news = agent("news", "Tell in a sentence what is new about the topic.")
    history = agent("history", "Tell in a sentence where the topic comes from.")
    writer = agent("writer", "Write three sentences for the newsletter.")
    critic = agent("critic", f"Say {ACCEPTED}, or what is missing in the draft.")
    newsletter = Workflow(
        "newsletter",
        [
            Parallel(news, history, name="research"),
            Loop(
                [Step("writer", writer, prompt="The topic: {input.topic}. What to go by: {previous}"), critic],
                max_iterations=3,
                end_condition=is_accepted,
                name="revise",
            ),
            Condition(has_links, Step("links", list_links), name="has links"),
            Step("layout", lay_out),
        ],
        description="Writes an issue of the newsletter.",
        input_schema=Wish,
    )
    return Musterd(workflows=[newsletter])


app = make_app("openai:gpt-5-mini")


def play(request: ChatRequest) -> Turn:
    """Play the model of all four: the critic wants one more draft."""
    if "what is new" in request.instructions:
        return text("Umbrellas fold by themselves now.")
    if "comes from" in request.instructions:
        return text("The first umbrellas kept off the sun.")
    if "three sentences" in request.instructions:
        return text(
            "Umbrellas fold by themselves now. " + ("Take one." if "call" in request.prompt else "That is all.")
        )
    return text(f"{ACCEPTED}." if "Take one." in request.prompt else "It needs a call to act.")


async def main() -> None:
    """Write an issue, and print how it came about."""
    wish = {"topic": "umbrellas", "links": ["https://example.com/a", "https://example.com/a"]}
    async with (
        FakeModel(play) as model,
        serve(make_app(model.as_model())) as client,
        client.run_workflow("newsletter", factory_input=wish) as run,
    ):
        async for event in run:
            match event:
                case StepCompleted(place=place, output=output):
                    print(f"{place.name}: {output}")
                case LoopTurned(turn=turn, will_continue=will_continue):
                    print(f"turn {turn} is over, " + ("another follows" if will_continue else "the last one"))
                case BranchChosen(place=place, choices=choices):
                    print(f"{place.name}? {', '.join(choices) or 'no'}")
                case _:
                    pass
        print((await run.result()).text)


if __name__ == "__main__":
    asyncio.run(main())
