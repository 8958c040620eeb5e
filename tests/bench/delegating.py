"""Agents that have a subagent work for them, and one that calls a plain tool instead: the same models for both."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from musterd.subagents import SubAgentConfig, SubAgentToolset, create_subagent_toolset

DELEGATING = "delegating"
CALLING = "calling"
MANY = "many"
TASK = "Say something."

Messages = list[ModelMessage]
Calls = Sequence[ToolCallPart]


def once(messages: Messages) -> str | Calls:
    """Give one task to the subagent, and answer with what it says."""
    returned = _returned(messages)
    return returned[0] if returned else [_task("sync", 0)]


def many(messages: Messages) -> str | Calls:
    """Give as many tasks as the prompt says to the background, wait for all of them, and answer."""
    count, returned = int(_prompt(messages)), _returned(messages)
    if not returned:
        return [_task("async", number) for number in range(count)]
    if "finished)" not in returned[0]:
        ids = [re.findall(r"Task ID: (\S+)", text)[0] for text in returned]
        return [ToolCallPart("wait_tasks", json.dumps({"task_ids": ids}), tool_call_id="wait")]
    if returned[0].count("COMPLETED") != count:
        raise AssertionError(returned[0])
    return f"{count} tasks are done."


def _task(mode: str, number: int) -> ToolCallPart:
    arguments = {"description": TASK, "subagent_type": "plain", "mode": mode}
    return ToolCallPart("task", json.dumps(arguments), tool_call_id=f"task-{number}")


def _prompt(messages: Messages) -> str:
    return next(str(part.content) for part in messages[0].parts if isinstance(part, UserPromptPart))


def _returned(messages: Messages) -> list[str]:
    """Return what the tools of the last step gave."""
    last = messages[-1]
    if not isinstance(last, ModelRequest):
        raise TypeError(last)
    return [str(part.content) for part in last.parts if isinstance(part, ToolReturnPart)]


class _Model:
    """A model that says what `once` or `many` decides, whole or streamed."""

    def __init__(self, decide: Any) -> None:
        self._decide = decide

    async def whole(self, messages: Messages, _info: AgentInfo) -> ModelResponse:
        said = self._decide(messages)
        return ModelResponse(parts=[TextPart(said)] if isinstance(said, str) else list(said))

    async def streamed(self, messages: Messages, _info: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        said: str | Calls = self._decide(messages)
        if isinstance(said, str):
            yield said
        else:
            yield {
                index: DeltaToolCall(name=call.tool_name, json_args=str(call.args), tool_call_id=call.tool_call_id)
                for index, call in enumerate(said)
            }

    def model(self) -> FunctionModel:
        return FunctionModel(self.whole, stream_function=self.streamed)


def delegating_agents(plain: Agent[object], answer: str) -> Sequence[Agent[object]]:
    """Return agents that have `plain` work for them, and the one whose plain tool returns `answer` at once."""

    def task(description: str, subagent_type: str, mode: str) -> str:
        """Give a task to a subagent."""
        del description, subagent_type, mode
        return answer

    return (
        Agent(_Model(once).model(), name=DELEGATING, toolsets=[_toolset(plain)]),
        Agent(_Model(many).model(), name=MANY, toolsets=[_toolset(plain)]),
        Agent(_Model(once).model(), name=CALLING, tools=[task]),
    )


def _toolset(plain: Agent[object]) -> SubAgentToolset:
    config = SubAgentConfig(name="plain", description="Says something.", instructions="", agent=plain)
    return create_subagent_toolset([config], include_general_purpose=False)
