"""The promise of durable steps: wherever a run is cut, what comes of it is what would have come of it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext, Tool
from pydantic_ai.capabilities import AbstractCapability, ProcessEventStream
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.run import AgentRunResult
from tests.support.cutting import Cut
from tests.support.runtime_kernel import Kernel

from musterd import AgentFactory, Musterd, RequestContext
from musterd.domain.errors import MusterdError
from musterd.domain.event import (
    Event,
    Payload,
    Steered,
    StepRestarted,
    TextDelta,
    ThinkingDelta,
    ToolCallArgumentsDelta,
)
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.step import ToolStatus
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
STEER_REQUEST = RequestKey(
    tenant_id="acme", user_id="ada", method="SteerTask", request_id="only-once", body_sha256=b"and so do I"
)
REPEATABLE = {"musterd_repeatable": True}
DELTAS = (TextDelta, ThinkingDelta, ToolCallArgumentsDelta)


class Report(BaseModel):
    """The structured output of the scripted agent."""

    total: int
    heard: str


class Life:
    """What one process did before it was cut: the tools that it ran, and the messages of a run that it ended."""

    def __init__(self) -> None:
        self.kernel: Kernel | None = None
        self.task_id = ""
        self.has_stored_text = asyncio.Event()
        self.tool_runs: Counter[tuple[int, str]] = Counter()
        self.messages: list[Any] = []

    def begin(self, kernel: Kernel) -> Kernel:
        """Live in this kernel."""
        self.kernel = kernel
        kernel.hub.listen(self._notice)
        return kernel

    def _notice(self, events: Sequence[Event]) -> None:
        if any(isinstance(event.payload, TextDelta) for event in events):
            self.has_stored_text.set()

    def count(self, ctx: RunContext[Any]) -> None:
        self.tool_runs[ctx.run_step, ctx.tool_call_id or ""] += 1


class KeepMessages(AbstractCapability[Any]):
    """Keeps the whole conversation when a run ends."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        self._life.messages = comparable_messages(result.all_messages())
        return result


def script_of(life: Life) -> Callable[[list[ModelMessage], AgentInfo], AsyncIterator[str | DeltaToolCalls]]:
    """Return the model's part: parallel calls of one tool, one of them tried again; a tool that is steered; an end."""

    async def script(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        returns = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        good = {part.tool_call_id for part in returns if part.outcome == "success"}
        if not returns:
            yield "Let me add. "
            # So that there is a commit in the middle of the response, however fast the machine is.
            await life.has_stored_text.wait()
            yield "Three at once."
            yield {
                index: DeltaToolCall(name="add", json_args=json.dumps({"number": index}), tool_call_id=f"add-{index}")
                for index in (1, 2, 3)
            }
        elif "retry-3" not in good:
            yield {1: DeltaToolCall(name="add", json_args='{"number": 30}', tool_call_id="retry-3")}
        elif "listen" not in good:
            yield {1: DeltaToolCall(name="listen", json_args="{}", tool_call_id="listen")}
        else:
            said = [
                str(part.content) for message in messages for part in message.parts if isinstance(part, UserPromptPart)
            ]
            sums = [int(str(part.content)) for part in returns if part.tool_name == "add" and part.outcome == "success"]
            arguments = json.dumps({"total": sum(sums), "heard": said[-1]})
            yield {0: DeltaToolCall(name=info.output_tools[0].name, json_args=arguments[:9], tool_call_id="out")}
            yield {0: DeltaToolCall(json_args=arguments[9:], tool_call_id="out")}

    return script


def app_of(life: Life) -> Musterd:
    """Build the app anew, as a fresh process would."""

    async def add(ctx: RunContext[Any], number: int) -> int:
        life.count(ctx)
        if number == 3:
            raise ModelRetry("add 30 instead")
        return number

    async def listen(ctx: RunContext[Any]) -> str:
        life.count(ctx)
        assert life.kernel is not None
        ctx.enqueue("the tool has a word to say")
        await life.kernel.tasks.steer(
            VIEWER, task_id=life.task_id, message="and so do I", user_id="ada", seconds=0, request=STEER_REQUEST
        )
        return "listened"

    async def watch_events(_: RunContext[Any], stream: Any) -> None:
        async for _event in stream:
            pass

    def build(context: RequestContext) -> Agent[RequestContext, Report]:
        life.task_id = context.task_id
        return Agent(
            FunctionModel(stream_function=script_of(life)),
            deps_type=RequestContext,
            output_type=Report,
            tools=[Tool(add, metadata=REPEATABLE, max_retries=3), Tool(listen, metadata=REPEATABLE)],
            capabilities=[ProcessEventStream(watch_events), KeepMessages(life)],
        )

    return Musterd(agents=[AgentFactory("scripted", build)])


def comparable_messages(messages: Sequence[ModelMessage]) -> list[Any]:
    """Return messages without what differs between any two runs: times and generated ids."""

    def strip(value: Any) -> Any:
        match value:
            case dict():
                fields = cast("dict[str, Any]", value)
                return {key: strip(each) for key, each in fields.items() if key not in VOLATILE}
            case list():
                return [strip(each) for each in cast("list[Any]", value)]
            case _:
                return value

    return strip(ModelMessagesTypeAdapter.dump_python(list(messages), mode="json"))


VOLATILE = ("timestamp", "run_id", "conversation_id")


def without_voided(events: Sequence[Event]) -> list[Payload]:
    """Return what a reader holds in the end: a restarted step takes its earlier deltas with it."""
    kept: list[Payload] = []
    for event in events:
        payload = event.payload
        if isinstance(payload, StepRestarted):
            step = payload.step
            kept = [each for each in kept if not (isinstance(each, DELTAS) and each.step == step)]
        else:
            kept.append(payload)
    return [replace(payload, steer_id="") if isinstance(payload, Steered) else payload for payload in kept]


class Outcome:
    """What is left of a run when all is over."""

    def __init__(self, life: Life, events: Sequence[Event], state: TaskState, output: str, usage: object) -> None:
        self.messages = life.messages
        self.sequences = [event.sequence for event in events]
        self.payloads = without_voided(events)
        self.state = state
        self.output = output
        self.usage = usage
        self.restarts = sum(isinstance(event.payload, StepRestarted) for event in events)


async def begin(kernel: Kernel) -> str:
    """Start the scripted run and return its id; the run may be cut before there is any."""
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    request = RunRequest(
        component=ComponentRef(kind=ComponentKind.AGENT, id="scripted"), identity=identity, message="add them up"
    )
    started = await kernel.runs.start(request)
    kernel.hub.leave(started.follower)
    return started.task.task_id


async def finish(kernel: Kernel, life: Life, task_id: str) -> Outcome:
    waited = await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=30)
    assert not waited.timed_out
    task = waited.tasks[0]
    return Outcome(life, await kernel.log_of(task_id), task.state, task.output.text if task.output else "", task.usage)


async def run_uncut(folder: Path) -> Outcome:
    life = Life()
    kernel = life.begin(Kernel(app_of(life), folder / "uncut.db"))
    await kernel.start()
    outcome = await finish(kernel, life, await begin(kernel))
    await kernel.stop()
    return outcome


async def first_life(database: Path, cut: Cut) -> tuple[Life, Counter[tuple[int, str]], bool]:
    """Run until the cut. Returns what was finished by then, and whether the run ended before it could be cut."""
    life = Life()
    kernel = life.begin(Kernel(app_of(life), database, cut=cut))
    await kernel.start()
    beginning = asyncio.ensure_future(begin(kernel))
    cutting = asyncio.ensure_future(cut.happened.wait())
    await asyncio.wait({beginning, cutting}, return_when=asyncio.FIRST_COMPLETED)
    if not cut.happened.is_set():
        ending = asyncio.ensure_future(finish(kernel, life, beginning.result()))
        await asyncio.wait({ending, cutting}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
    cutting.cancel()
    beginning.cancel()
    await asyncio.gather(beginning, cutting, return_exceptions=True)
    finished: Counter[tuple[int, str]] = Counter()
    if life.task_id:
        journal = await kernel.real_store.load_journal(life.task_id)
        finished = Counter(
            key
            for key, step in journal.tool_steps.items()
            if step.status not in (ToolStatus.STARTED, ToolStatus.INVALID)
        )
    was_cut = cut.happened.is_set()
    await kernel.die()
    return life, finished, was_cut


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_a_run_that_is_cut_at_any_commit_comes_to_the_same_end(tmp_path: Path, after: bool) -> None:
    """R3, R6, R10: same output, messages, usage and log; each finished tool once."""
    uncut = await run_uncut(tmp_path)
    assert uncut.state is TaskState.COMPLETED
    assert json.loads(uncut.output) == {"total": 33, "heard": "and so do I"}
    cuts = 0
    restarts = 0
    while True:
        database = tmp_path / f"cut-{cuts + 1}.db"
        life, finished, was_cut = await first_life(database, Cut(cuts + 1, after=after))
        if not was_cut:
            break
        cuts += 1
        second = Life()
        kernel = second.begin(Kernel(app_of(second), database))
        await kernel.start()
        is_accepted = await is_stored(kernel, life.task_id)
        task_id = life.task_id if is_accepted else await begin(kernel)
        outcome = await finish(kernel, second, task_id)
        await kernel.stop()
        restarts += outcome.restarts
        assert outcome.state is TaskState.COMPLETED
        assert outcome.output == uncut.output
        assert outcome.usage == uncut.usage
        assert outcome.sequences == list(range(1, len(outcome.sequences) + 1))
        assert outcome.payloads == uncut.payloads
        assert not (finished & second.tool_runs)
        if second.messages:
            assert outcome.messages == uncut.messages
        else:
            assert life.messages == uncut.messages
    assert cuts >= 6
    assert restarts >= 1


async def is_stored(kernel: Kernel, task_id: str) -> bool:
    try:
        await kernel.tasks.get(VIEWER, task_id)
    except MusterdError:
        return False
    return True
