"""The tool by which a subagent asks whoever gave it its task."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.toolsets import FunctionToolset

from musterd.subagents.descriptions import ASK_PARENT_DESCRIPTION, REPEATABLE
from musterd.subagents.types import AskUserCallback

ASK_PARENT = "ask_parent"

Ask = Callable[[RunContext[Any], str], Awaitable[str | None]]
"""Asks a question, and returns its answer; None when there is none in time. Raises NobodyToAskError."""

NO_ANSWER = "Error: Parent did not respond in time"
NOBODY = (
    "Error: Cannot ask parent - no communication channel configured. A task in sync mode needs ask_user=... of "
    "create_subagent_toolset(); in async mode its parent answers with answer_subagent. Go on with what you know."
)


class NobodyToAskError(Exception):
    """There is nobody who could answer."""


@dataclass(frozen=True, slots=True)
class Asker:
    """How the run in a context asks, and how many questions it may ask; any number with None.

    `ask` is called once for each question, several at a time when the model asks several in one response.
    """

    ask: Ask
    max_questions: int | None = None


current_asker: ContextVar[Asker | None] = ContextVar("musterd-asker", default=None)
"""Whom the subagent asks that runs in this context: its host sets it before the run."""


async def ask_parent(ctx: RunContext[Any], question: str) -> str:
    """Ask.

    Args:
        ctx: The run that asks.
        question: What you need to know, with what the other needs to know to answer it.
    """
    asker = current_asker.get()
    if asker is None:
        return NOBODY
    if asker.max_questions is not None and _number_of(ctx) >= asker.max_questions:
        return (
            f"Error: question limit reached ({asker.max_questions} for this task). "
            "Finish with the information you already have."
        )
    try:
        answer = await asker.ask(ctx, question)
    except NobodyToAskError:
        return NOBODY
    return NO_ANSWER if answer is None else answer


@cache
def asking_toolset() -> FunctionToolset[Any]:
    """Return the toolset of every subagent that may ask.

    There is one, because to make a tool costs as much as half a run.
    """
    toolset = FunctionToolset[Any](id=ASK_PARENT)
    toolset.add_function(ask_parent, description=ASK_PARENT_DESCRIPTION, metadata=REPEATABLE)
    return toolset


def ask_user_only(ask_user: AskUserCallback | None) -> Ask:
    """Return how a task in sync mode asks: through the callback of the application."""

    async def ask(_: RunContext[Any], question: str) -> str | None:
        if ask_user is None:
            raise NobodyToAskError
        return str(await ask_user(question))

    return ask


def _number_of(ctx: RunContext[Any]) -> int:
    """Return how many questions the run asked before this one.

    The conversation counts them: it is complete after a restart too, when earlier calls are not made again.
    """
    calls = [
        part.tool_call_id
        for message in ctx.messages
        if isinstance(message, ModelResponse)
        for part in message.parts
        if isinstance(part, ToolCallPart) and part.tool_name == ASK_PARENT
    ]
    # The last one with this id: some models give the calls of each response the same ids again.
    same = [index for index, each in enumerate(calls) if each == ctx.tool_call_id]
    return same[-1] if same else len(calls)
