"""Wherever a run with children is cut, what comes of it and of them is what would have come of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
from pydantic_ai.run import AgentRunResult
from pydantic_ai.toolsets import FunctionToolset
from tests.support.cutting import Cut
from tests.support.runtime_kernel import Kernel
from tests.support.stage import Stage, ask, do, task, wait
from tests.support.turns import prompts

from musterd import AgentFactory, Musterd, RequestContext
from musterd.domain.errors import MusterdError
from musterd.domain.event import Event, QuestionAnswered, QuestionAsked, TaskCanceled, TaskCompleted, TaskFailed
from musterd.domain.ports import RequestKey
from musterd.domain.principal import Identity, Viewer
from musterd.domain.step import ToolStatus
from musterd.domain.task import ComponentKind, ComponentRef, Task, TaskState
from musterd.runtime.attempt.journal import load_value
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
ANSWER = RequestKey(tenant_id="acme", user_id="ada", method="AnswerTask", request_id="only-once", body_sha256=b"left")
TERMINAL = (TaskCompleted, TaskFailed, TaskCanceled)
REPEATABLE = {"musterd_repeatable": True}
VOLATILE = ("timestamp", "run_id", "conversation_id")

ASKS_PARENT = do(("count", {"name": "first"}), ask("mine?"), ("count", {"name": "second"}))
ASKS_OUTSIDE = do([("count", {"name": "third"}), ask("which?")])
LEADS = do(
    [task(ASKS_PARENT), task(ASKS_OUTSIDE)],
    wait("@0"),
    ("answer_subagent", {"task_id": "@0", "answer": "yours"}),
    ("rest", {}),
    wait("@0", "@1"),
    [
        ("check_task", {"task_id": "@0"}),
        ("list_active_tasks", {}),
        ("send_message_to_subagent", {"task_id": "@1", "message": "x"}),
    ],
)


class Life:
    """What one process did before it was cut: the tools that it ran, and the messages of the runs that it ended."""

    def __init__(self, database: Path, limits: Limits, cut: Cut | None = None) -> None:
        self.task_id = ""
        self._cut = cut
        self.counted: Counter[str] = Counter()
        self.messages: dict[str, Sequence[ModelMessage]] = {}
        self._answered = asyncio.Event()
        self._news = asyncio.Event()
        self._news.set()
        self.kernel = Kernel(self._app(), database, limits=limits, cut=cut)

    def _app(self) -> Musterd:
        """Build the app anew, as a fresh process would."""
        stage, tools = Stage(), FunctionToolset[Any]()

        async def count(name: str) -> str:
            self.counted[name] += 1
            return name

        async def rest() -> str:
            await self._answered.wait()
            return "rested"

        tools.add_function(count, metadata=REPEATABLE)
        tools.add_function(rest, metadata=REPEATABLE)
        keep = KeepMessages(self)
        worker = stage.worker(toolsets=[tools], agent_kwargs={"capabilities": [keep]})
        agent = stage.agent(tools, stage.delegating(worker), capabilities=[keep])

        def build(context: RequestContext) -> Agent[Any, str]:
            # The first that is built is the leader; its task may be stored without anybody being told of it.
            self.task_id = self.task_id or context.task_id
            return agent

        return Musterd(agents=[AgentFactory("boss", build)])

    async def __aenter__(self) -> Self:
        self.kernel.hub.listen(lambda _: self._news.set())
        await self.kernel.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await (self.kernel.die() if self._cut is not None else self.kernel.stop())

    async def begin(self) -> None:
        """Start the leader."""
        identity = Identity(tenant_id="acme", user_id="ada", captured_at=await self.kernel.real_store.now())
        component = ComponentRef(kind=ComponentKind.AGENT, id="boss")
        started = await self.kernel.runs.start(RunRequest(component=component, identity=identity, message=LEADS))
        self.kernel.hub.leave(started.follower)
        self.task_id = started.task.task_id

    async def answer(self) -> None:
        """Answer what is asked of somebody outside, as often as this process lives."""
        while True:
            await self._news.wait()
            self._news.clear()
            for event in await self.kernel.log_of(self.task_id) if self.task_id else ():
                match event.payload:
                    case QuestionAsked(question_id=question_id, text="which?"):
                        await self.kernel.tasks.answer(
                            VIEWER,
                            task_id=event.task_id,
                            question_id=question_id,
                            answer="left",
                            user_id="ada",
                            request=ANSWER,
                        )
                        self._answered.set()
                        return
                    case _:
                        pass

    async def live(self, task_id: str = "") -> "Outcome":
        """Run the leader to its end, from its beginning or from where an earlier process left it."""
        answering = asyncio.ensure_future(self.answer())
        try:
            if task_id:
                self.task_id = task_id
                self._news.set()
            else:
                await self.begin()
            waited = await self.kernel.tasks.wait(VIEWER, [self.task_id], wait_for_any=False, seconds=30)
            assert not waited.timed_out
            return await self._outcome(waited.tasks[0])
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _outcome(self, root: Task) -> "Outcome":
        children = await self.kernel.real_store.get_descendants(root.task_id)
        names = {root.task_id: "leader"} | {
            child.task_id: "asks parent" if child.description == ASKS_PARENT else "asks outside" for child in children
        }
        log = await self.kernel.log_of(root.task_id)
        return Outcome(
            states={names[each.task_id]: each.state for each in (root, *children)},
            outputs={
                names[each.task_id]: _named(each.output.text if each.output else "", names)
                for each in (root, *children)
            },
            usages={names[each.task_id]: each.usage for each in (root, *children)},
            tree_usage=root.tree_usage,
            endings=Counter(names[event.task_id] for event in log if isinstance(event.payload, TERMINAL)),
            answers=sorted(event.payload.answer for event in log if isinstance(event.payload, QuestionAnswered)),
            questions=sum(isinstance(event.payload, QuestionAsked) for event in log),
            names=names,
            log=log,
        )

    async def finished_tools(self) -> Counter[str]:
        """Return the counting tool calls whose outcome is stored."""
        finished: Counter[str] = Counter()
        for each in await self.kernel.real_store.get_descendants(self.task_id) if self.task_id else ():
            journal = await self.kernel.real_store.load_journal(each.task_id)
            for step in journal.tool_steps.values():
                if step.tool_name == "count" and step.status is ToolStatus.RETURNED:
                    finished[load_value(step.outcome_json)] += 1
        return finished


class KeepMessages(AbstractCapability[Any]):
    """Keeps the whole conversation of each run when it ends, by what its first prompt was."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        messages = result.all_messages()
        plans = {"leader": LEADS, "asks parent": ASKS_PARENT, "asks outside": ASKS_OUTSIDE}
        lines = prompts(messages)[0].splitlines()
        (name,) = [name for name, plan in plans.items() if plan in lines]
        self._life.messages[name] = messages
        return result


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left of a tree when all is over."""

    states: dict[str, TaskState]
    outputs: dict[str, str]
    usages: dict[str, Any]
    tree_usage: Any
    endings: Counter[str]
    answers: Sequence[str]
    questions: int
    names: dict[str, str]
    log: Sequence[Event]

    def comparable(self) -> list[Any]:
        """Return what must be as in any other run."""
        return [self.states, self.outputs, self.usages, self.tree_usage, self.endings, self.answers, self.questions]


def _named(text: str, names: dict[str, str]) -> str:
    for task_id, name in names.items():
        text = text.replace(task_id, name)
    return text


def comparable_messages(messages: Sequence[ModelMessage], names: dict[str, str]) -> Any:
    """Return messages without what differs between any two runs: times and ids."""

    def strip(value: Any) -> Any:
        match value:
            case dict():
                fields = cast("dict[str, Any]", value)
                return {key: strip(each) for key, each in fields.items() if key not in VOLATILE}
            case list():
                return [strip(each) for each in cast("list[Any]", value)]
            case str():
                return _named(value, names)
            case _:
                return value

    return strip(ModelMessagesTypeAdapter.dump_python(list(messages), mode="json"))


async def live_until(life: Life, cut: Cut) -> tuple[Counter[str], bool]:
    """Run until the cut. Returns which tools were finished by then, and whether the run was cut before its end."""
    living = asyncio.ensure_future(life.live())
    cutting = asyncio.ensure_future(cut.happened.wait())
    await asyncio.wait({living, cutting}, return_when=asyncio.FIRST_COMPLETED)
    for each in (living, cutting):
        each.cancel()
    await asyncio.gather(living, cutting, return_exceptions=True)
    return await life.finished_tools(), cut.happened.is_set()


ROOMY, NARROW = Limits(), Limits(max_running_tasks=2)
"""With little room children come from the queue, so that claims are commits to cut at too."""


@pytest.mark.parametrize(
    ("limits", "after"), [(ROOMY, False), (NARROW, True)], ids=["before a commit", "after a commit, with little room"]
)
async def test_a_tree_that_is_cut_at_any_commit_comes_to_the_same_end(
    tmp_path: Path, limits: Limits, after: bool
) -> None:
    """R3, S3, S6, S7, S13: same conversations, outputs and usage; each child once, each finished tool once."""
    async with Life(tmp_path / "uncut.db", limits) as uncut_life:
        uncut = await uncut_life.live()
    assert set(uncut.states.values()) == {TaskState.COMPLETED}
    assert uncut.answers == ["left", "yours"]
    cuts = 0
    while True:
        database = tmp_path / f"cut-{cuts + 1}.db"
        cut = Cut(cuts + 1, after=after)
        async with Life(database, limits, cut) as first:
            finished, was_cut = await live_until(first, cut)
        if not was_cut:
            break
        cuts += 1
        async with Life(database, limits) as second:
            outcome = await second.live(first.task_id if await is_stored(second.kernel, first.task_id) else "")
        assert outcome.comparable() == uncut.comparable(), f"cut at commit {cuts}"
        assert [event.sequence for event in outcome.log] == list(range(1, len(outcome.log) + 1))
        assert not (finished & second.counted)
        for name, messages in uncut_life.messages.items():
            kept = second.messages.get(name) or first.messages[name]
            assert comparable_messages(kept, outcome.names) == comparable_messages(messages, uncut.names)
    assert cuts >= 20


async def is_stored(kernel: Kernel, task_id: str) -> bool:
    try:
        await kernel.tasks.get(VIEWER, task_id)
    except MusterdError:
        return False
    return True
