"""A concierge that remembers its guests: runs with the same session_id are one conversation.

`python examples/concierge.py` plays it and needs no key. With a key, serve it:
`musterd serve examples.concierge:app`, then `musterd run concierge "I am vegetarian." --session stay-7`.
"""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart
from pydantic_ai.models import Model

from musterd import Musterd
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, text
from musterd_client import MusterdClient

MOST_MESSAGES = 6


def keep_what_guests_said(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Make a long conversation shorter: of all but the last messages keep what the guest has said.

    pydantic-ai calls this before each request to the model. What it returns is what the session holds from then on.
    """
    if len(messages) <= MOST_MESSAGES:
        return messages
    older, latest = messages[:-3], messages[-3:]
    said = [str(part.content) for message in older for part in message.parts if isinstance(part, UserPromptPart)]
    return [ModelRequest(parts=[UserPromptPart("\n".join(said))]), *latest]


def make_app(model: Model | str) -> Musterd:
    """Return the app."""
    concierge = Agent(
        model,
        name="concierge",
        instructions="You are the concierge of a small hotel.",
        capabilities=[ProcessHistory(keep_what_guests_said)],
        defer_model_check=True,
    )
    return Musterd(agents=[concierge])


app = make_app("openai:gpt-5-mini")


def play(request: ChatRequest) -> Turn:
    """Play the model: it knows what it was told in any run of the session."""
    if "dinner" not in request.prompt:
        return text("Noted.")
    told = "\n".join(message.text for message in request.messages if message.role == "user")
    return text("The garden restaurant." if "vegetarian" in told else "The steak house.")


async def say(client: MusterdClient, session_id: str, message: str) -> str:
    """Say something to the concierge, and return the answer."""
    return (await client.run_agent("concierge", message, session_id=session_id).result()).text


async def main() -> None:
    """Talk in two sessions, look at one of them, and delete it."""
    async with FakeModel(play) as model, serve(make_app(model.as_model())) as client:
        await say(client, "stay-7", "I am vegetarian.")
        for wish in ("A late checkout, please.", "And a newspaper.", "The Times."):
            await say(client, "stay-7", wish)
        print(await say(client, "stay-7", "Where shall I go for dinner?"))
        print(await say(client, "stay-8", "Where shall I go for dinner?"))
        session = await client.sessions.get("stay-7")
        print(f"{session.run_count} runs, {session.message_count} messages")
        await client.sessions.delete("stay-7")
        print([one.session_id async for one in client.sessions.list()])


if __name__ == "__main__":
    asyncio.run(main())
