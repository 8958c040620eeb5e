"""Models of those in a team, in this process: what each answers follows from what it reads."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from tests.support.gated_model import Delta, prompts_in
from tests.support.scripted import tool_returns_in

Call = tuple[str, dict[str, Any]]
Answer = str | Sequence[Call]
"""What a model says, or which tools it calls, all at once."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a model reads in one request. `turn` counts the requests of its conversation from 1."""

    turn: int
    prompts: Sequence[str]
    returns: Sequence[str]
    tools: Sequence[str]
    output_tools: Sequence[str]
    instructions: str


class Actor:
    """A model that answers by a function, and remembers what it read. Its answers have the same call ids each time."""

    def __init__(self, answer: Callable[[Reading], Awaitable[Answer]]) -> None:
        self._answer = answer
        self.readings: list[Reading] = []

    @property
    def model(self) -> FunctionModel:
        return FunctionModel(stream_function=self._stream)

    def member(self, name: str, description: str = "", *tools: Tool[Any] | Callable[..., Any]) -> Agent[Any, str]:
        """Return an agent on this model."""
        return Agent(self.model, name=name, description=description, tools=tools)

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        reading = _read(messages, info)
        self.readings.append(reading)
        answer = await self._answer(reading)
        if isinstance(answer, str):
            yield answer
            return
        for index, (tool, arguments) in enumerate(answer):
            call_id = f"call-{reading.turn}-{index}"
            yield {index: DeltaToolCall(name=tool, json_args=json.dumps(arguments), tool_call_id=call_id)}


def _read(messages: list[ModelMessage], info: AgentInfo) -> Reading:
    return Reading(
        turn=1 + sum(isinstance(message, ModelResponse) for message in messages),
        prompts=prompts_in(messages),
        returns=[str(part.content) for part in tool_returns_in(messages)],
        tools=[tool.name for tool in info.function_tools],
        output_tools=[tool.name for tool in info.output_tools],
        instructions=info.instructions or "",
    )


def saying(text: str) -> Actor:
    """Return an actor that always says the same."""

    async def answer(_: Reading) -> Answer:
        return text

    return Actor(answer)


def steps(*answers: Answer | Callable[[Reading], Awaitable[Answer]]) -> Actor:
    """Return an actor that answers the first request of each conversation with the first of `answers`, and so on."""

    async def answer(reading: Reading) -> Answer:
        chosen = answers[min(reading.turn, len(answers)) - 1]
        return await chosen(reading) if callable(chosen) else chosen

    return Actor(answer)


async def what_came(reading: Reading) -> Answer:
    """Say what the tools gave."""
    return " | ".join(reading.returns)


def delegate(member: str, task: str) -> Call:
    """Return the leader's call that gives a member something to do."""
    return "delegate_to_member", {"member": member, "task": task}


def add_todo(content: str, *blocked_by: str) -> Call:
    """Return the call that puts an item on the team's list."""
    return "add_team_todo", {"content": content, "blocked_by": list(blocked_by)}


def list_todos() -> Call:
    """Return the call that reads the team's list."""
    return "list_team_todos", {}


def claim_todo(todo_id: str) -> Call:
    """Return the call that takes an item on."""
    return "claim_team_todo", {"todo_id": todo_id}


def complete_todo(todo_id: str, result: str) -> Call:
    """Return the call that says that an item is done."""
    return "complete_team_todo", {"todo_id": todo_id, "result": result}


def tell(receiver: str, content: str) -> Call:
    """Return the call that sends a message to one in the team."""
    return "send_team_message", {"receiver": receiver, "content": content}


def tell_all(content: str) -> Call:
    """Return the call that sends a message to all others in the team."""
    return "broadcast_team_message", {"content": content}


def id_of_todo(returned: str) -> str:
    """Return the id in what adding an item gave."""
    return returned.removeprefix("Todo added (ID: ").removesuffix(")")


def content_of_todo(prompt: str) -> str:
    """Return the text of the item in what a member is given in mode `tasks`."""
    return prompt.splitlines()[0].partition("): ")[2]


def crashing(name: str) -> Agent[Any, str]:
    """Return a member whose only tool raises."""

    def explode() -> str:
        raise RuntimeError("boom")

    return steps([("explode", {})]).member(name, "", explode)
