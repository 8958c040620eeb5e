"""Agents that do what their prompts say: a test writes the steps of a run, and of all it delegates, into its message.

    do(task("do: …"), wait("@0"), "done")

`@0` is the id of the first task that the run put into the background. A run whose steps are used up reports what its
tools returned.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, cast

from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset
from tests.support.followers import GUARD_SECONDS
from tests.support.gated_model import Gate
from tests.support.turns import prompts, report, started_ids

from musterd import Musterd
from musterd.subagents import SubAgentConfig, SubAgentToolset, create_subagent_toolset

Call = tuple[str, dict[str, Any]]
Step = str | Call | Sequence[Call]
"""What a model says in one response: a text, a tool call, or several calls."""

PLAN = "do: "
AT, FAIL = "@at", "@fail"


def do(*steps: Step) -> str:
    """Return a message that makes an agent of a Stage take these steps."""
    return PLAN + json.dumps(steps)


def at(gate: str) -> Call:
    """Let the model wait at a gate before it answers with the step that follows."""
    return AT, {"gate": gate}


def failing(name: str, *, status: int = 503, times: int = 1) -> Call:
    """Let the model answer so many requests with an HTTP error before it goes on to the step that follows."""
    return FAIL, {"name": name, "status": status, "times": times}


def task(description: str, mode: str = "async", name: str = "worker", **more: Any) -> Call:
    return "task", {"description": description, "subagent_type": name, "mode": mode, **more}


def wait(*task_ids: str, **more: Any) -> Call:
    return "wait_tasks", {"task_ids": list(task_ids), **more}


def ask(question: str) -> Call:
    return "ask_parent", {"question": question}


def pause(gate: str) -> Call:
    """Call a tool that waits at a gate."""
    return "pause", {"gate": gate}


class Stage:
    """The gates, the model and the agents of one test."""

    def __init__(self) -> None:
        self.gates: defaultdict[str, Gate] = defaultdict(Gate)
        self._paused: Counter[str] = Counter()
        self._pausing = asyncio.Condition()
        self._seen: Counter[str] = Counter()
        self._conversations: dict[str, list[ModelMessage]] = {}
        self._failures: Counter[str] = Counter()

    @property
    def model(self) -> FunctionModel:
        return FunctionModel(self._respond, model_name="stage")

    @property
    def tools(self) -> FunctionToolset[Any]:
        """What every agent of the stage has."""
        toolset = FunctionToolset[Any]()

        async def pause(gate: str) -> str:
            async with self._pausing:
                self._paused[gate] += 1
                self._pausing.notify_all()
            await self.gates[gate].wait()
            return f"passed {gate}"

        toolset.add_function(pause)
        return toolset

    def worker(self, name: str = "worker", **config: Any) -> SubAgentConfig:
        """Return a subagent that uses its caller's model."""
        toolsets = [self.tools, *config.pop("toolsets", ())]
        given: dict[str, Any] = {"max_retries": 0, **config}
        return SubAgentConfig(name=name, description="works", instructions="work", toolsets=toolsets, **given)

    def delegating(self, *workers: SubAgentConfig, **options: Any) -> SubAgentToolset:
        """Return a toolset over these subagents, or over one plain worker."""
        return create_subagent_toolset(workers or [self.worker()], include_general_purpose=False, **options)

    def agent(self, *toolsets: AbstractToolset[Any], name: str = "boss", **options: Any) -> Agent[Any, str]:
        """Return an agent with these toolsets, or with one that delegates to a plain worker."""
        given = [self.tools, *(toolsets or [self.delegating()])]
        return Agent(self.model, name=name, toolsets=given, deps_type=object, **options)

    def app(self, *toolsets: AbstractToolset[Any]) -> Musterd:
        """Return an app with one such agent, the boss."""
        return Musterd(agents=[self.agent(*toolsets)])

    async def paused(self, gate: str, *, times: int) -> None:
        """Return once so many calls of the tool `pause` came to a gate."""
        async with asyncio.timeout(GUARD_SECONDS), self._pausing:
            await self._pausing.wait_for(lambda: self._paused[gate] >= times)

    def conversation(self, plan: str) -> Sequence[ModelMessage]:
        """Return what was in the last request of a run with this plan."""
        return self._conversations[plan.removeprefix(PLAN)]

    def seen_of(self, plan: str) -> int:
        """Return how many requests the runs with this plan made."""
        return self._seen[plan.removeprefix(PLAN)]

    async def _respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        everything, messages = list(messages), _of_this_run(messages)
        plan = _plan_in(messages)
        self._seen[plan] += 1
        self._conversations[plan] = everything
        said = await self._next(json.loads(plan), messages)
        if isinstance(said, str):
            return ModelResponse(parts=[TextPart(said)])
        index = _responses_in(messages)
        return ModelResponse(
            parts=[
                ToolCallPart(tool, _with_ids(arguments, started_ids(messages)), tool_call_id=f"call-{index}-{number}")
                for number, (tool, arguments) in enumerate(said)
            ]
        )

    async def _next(self, steps: list[Any], messages: list[ModelMessage]) -> str | Sequence[Call]:
        done = 0
        for step in steps:
            is_due = done == _responses_in(messages)
            match step:
                case [str(kind), _] if kind in (AT, FAIL):
                    if is_due:
                        await self._hold(*cast("Call", step))
                case _ if is_due:
                    return _said(step)
                case _:
                    done += 1
        return report(messages)

    async def _hold(self, kind: str, arguments: dict[str, Any]) -> None:
        if kind == AT:
            await self.gates[arguments["gate"]].wait()
        elif self._failures[arguments["name"]] < arguments["times"]:
            self._failures[arguments["name"]] += 1
            raise ModelHTTPError(arguments["status"], "stage")


def _of_this_run(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Return the part of a session that belongs to the run with the last plan."""
    own = [message for message in messages if message.run_id == messages[-1].run_id]
    return own if any(PLAN in prompt for prompt in prompts(own)) else messages


def _plan_in(messages: list[ModelMessage]) -> str:
    lines = (line for prompt in prompts(messages) for line in prompt.splitlines() if line.startswith(PLAN))
    return next(lines, PLAN + "[]").removeprefix(PLAN)


def _responses_in(messages: list[ModelMessage]) -> int:
    return sum(isinstance(message, ModelResponse) for message in messages)


def _said(step: Any) -> str | Sequence[Call]:
    match step:
        case str():
            return step
        case [str(), dict()]:
            return [cast("Call", step)]
        case _:
            return cast("Sequence[Call]", step)


def _with_ids(value: Any, ids: Sequence[str]) -> Any:
    """Put the ids of started tasks into arguments."""
    match value:
        case dict():
            return {key: _with_ids(each, ids) for key, each in cast("dict[str, Any]", value).items()}
        case list():
            return [_with_ids(each, ids) for each in cast("list[Any]", value)]
        case str() if value.startswith("@") and value[1:].isdecimal():
            return ids[int(value[1:])]
        case _:
            return value
