"""Wherever a run that waits for an approval is cut, what comes of it is what would have come of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic_ai import Agent, Tool
from tests.support.cutting import Cut
from tests.support.payments import report
from tests.support.runtime_kernel import Kernel
from tests.support.turns import taking

from musterd import AgentFactory, Musterd, RequestContext
from musterd.domain.approval_store import Resolution, Verdict
from musterd.domain.errors import MusterdError
from musterd.domain.event import ApprovalRequested, ApprovalResolved, Event, TaskCompleted
from musterd.domain.principal import Identity, Viewer
from musterd.domain.step import ToolStatus
from musterd.domain.task import ApprovalState, ComponentKind, ComponentRef, TaskState
from musterd.runtime.attempt.journal import load_value
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
REPEATABLE = {"musterd_repeatable": True}
IN_MEMORY, GIVEN_UP = Limits(), Limits(approval_park_seconds=0)
RESOLUTIONS = {"pay 3": (Verdict.APPROVE, '{"name": "pay 2"}'), "pay 4": (Verdict.DENY, "")}


class Life:
    """What one process did before it was cut: the tools that it ran."""

    def __init__(self, database: Path, limits: Limits, cut: Cut | None = None) -> None:
        self.task_id = ""
        self.counted: Counter[str] = Counter()
        self._cut = cut
        self._news = asyncio.Event()
        self.kernel = Kernel(self._app(), database, limits=limits, cut=cut)

    def _app(self) -> Musterd:
        async def count(name: str) -> str:
            self.counted[name] += 1
            return name

        async def pay(name: str) -> str:
            self.counted[name] += 1
            return name

        tools = [Tool(count, metadata=REPEATABLE), Tool(pay, metadata=REPEATABLE, requires_approval=True)]
        both = [("count", {"name": "beside"}), ("pay", {"name": "pay 3"}), ("pay", {"name": "pay 4"})]

        def build(context: RequestContext) -> Agent[Any, str]:
            self.task_id = self.task_id or context.task_id
            return Agent(taking(both, ("count", {"name": "after"}), report), deps_type=RequestContext, tools=tools)

        return Musterd(agents=[AgentFactory("payer", build)])

    async def __aenter__(self) -> Self:
        self.kernel.hub.listen(lambda _: self._news.set())
        await self.kernel.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await (self.kernel.die() if self._cut is not None else self.kernel.stop())

    async def live(self, task_id: str = "") -> "Outcome":
        """Run to the end, from the beginning or from where an earlier process left it; who decides does so at once."""
        deciding = asyncio.ensure_future(self._decide())
        try:
            if task_id:
                self.task_id = task_id
            else:
                identity = Identity(tenant_id="acme", user_id="ada", captured_at=await self.kernel.real_store.now())
                component = ComponentRef(kind=ComponentKind.AGENT, id="payer")
                request = RunRequest(component=component, identity=identity, message="go")
                started = await self.kernel.runs.start(request)
                self.kernel.hub.leave(started.follower)
                self.task_id = started.task.task_id
            self._news.set()
            await self._ends()
            return await self._outcome()
        finally:
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)

    async def _ends(self) -> None:
        async with asyncio.timeout(30):
            with self.kernel.changes.watch([self.task_id]) as waiter:
                while not (await self.kernel.tasks.get(VIEWER, self.task_id)).state.is_terminal:
                    await waiter.wait()
                    waiter.clear()

    async def _decide(self) -> None:
        """Decide about each approval by itself, in the order in which they were asked for."""
        while True:
            await self._news.wait()
            self._news.clear()
            with suppress(MusterdError):
                task = await self.kernel.tasks.get(VIEWER, self.task_id)
                for approval in task.approvals:
                    (called,) = (name for name in RESOLUTIONS if name in approval.arguments_json)
                    verdict, changed = RESOLUTIONS[called]
                    resolution = Resolution(
                        approval_id=approval.approval_id, verdict=verdict, reason="so it is", arguments_json=changed
                    )
                    await self.kernel.tasks.resolve(
                        VIEWER, task_id=task.task_id, resolutions=[resolution], user_id="ada", request=None
                    )

    async def _outcome(self) -> "Outcome":
        task = await self.kernel.tasks.get(VIEWER, self.task_id)
        log = await self.kernel.log_of(self.task_id)
        decided = [event.payload for event in log if isinstance(event.payload, ApprovalResolved)]
        return Outcome(
            state=task.state,
            text=task.output.text if task.output is not None else "",
            usage=task.usage,
            endings=sum(isinstance(event.payload, TaskCompleted) for event in log),
            asked=sum(isinstance(event.payload, ApprovalRequested) for event in log),
            decided=sorted((each.state, each.arguments_json) for each in decided),
            log=log,
        )

    async def finished_tools(self) -> Counter[str]:
        """Return the tool calls whose outcome is stored."""
        journal = await self.kernel.real_store.load_journal(self.task_id)
        returned = [step for step in journal.tool_steps.values() if step.status is ToolStatus.RETURNED]
        return Counter(load_value(step.outcome_json) for step in returned)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left of a run when all is over."""

    state: TaskState
    text: str
    usage: Any
    endings: int
    asked: int
    decided: Sequence[tuple[ApprovalState, str]]
    log: Sequence[Event]

    def comparable(self) -> list[Any]:
        """Return what must be as in any other run."""
        return [self.state, self.text, self.usage, self.endings, self.asked, self.decided]


async def live_until(life: Life, cut: Cut) -> tuple[Counter[str], bool]:
    """Run until the cut. Returns which tools were finished by then, and whether the run was cut before its end."""
    living = asyncio.ensure_future(life.live())
    cutting = asyncio.ensure_future(cut.happened.wait())
    await asyncio.wait({living, cutting}, return_when=asyncio.FIRST_COMPLETED)
    for each in (living, cutting):
        each.cancel()
    await asyncio.gather(living, cutting, return_exceptions=True)
    was_cut = cut.happened.is_set()
    return (await life.finished_tools() if was_cut and life.task_id else Counter()), was_cut


async def is_stored(life: Life, task_id: str) -> bool:
    try:
        await life.kernel.tasks.get(VIEWER, task_id)
    except MusterdError:
        return False
    return True


@pytest.mark.parametrize("after", [False, True], ids=["before a commit", "after a commit"])
@pytest.mark.parametrize("limits", [IN_MEMORY, GIVEN_UP], ids=["in memory", "given up"])
async def test_a_run_that_waits_is_cut_at_any_commit_and_comes_to_the_same_end(
    tmp_path: Path, limits: Limits, after: bool
) -> None:
    """N2, R3: one approved with other arguments, one denied, a finished tool beside them; each tool once."""
    async with Life(tmp_path / "uncut.db", limits) as uncut_life:
        uncut = await uncut_life.live()
    assert uncut.text == "beside; pay 2; so it is; after"
    assert uncut_life.counted == {"beside": 1, "pay 2": 1, "after": 1}
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
            known = first.task_id if first.task_id and await is_stored(second, first.task_id) else ""
            outcome = await second.live(known)
        assert outcome.comparable() == uncut.comparable(), f"cut at commit {cuts}"
        assert [event.sequence for event in outcome.log] == list(range(1, len(outcome.log) + 1))
        assert not (finished & second.counted)
    assert cuts >= 10
