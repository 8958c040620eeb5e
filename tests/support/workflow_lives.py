"""Lives of a process that runs a workflow, cut at any commit, and what is left when all is over."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias
from zlib import crc32

from tests.support.cutting import Cut
from tests.support.runtime_kernel import Kernel

from musterd import Musterd, RequestContext, Step, StepInput, Workflow, WorkflowFactory
from musterd.domain.errors import MusterdError
from musterd.domain.event import Event, SubtaskStarted, TaskCanceled, TaskCompleted, TaskFailed, TaskStarted
from musterd.domain.principal import Identity, Viewer
from musterd.domain.step import ToolStatus
from musterd.domain.task import ComponentKind, ComponentRef, Task, TaskState
from musterd.domain.workflow_event import BranchChosen, LoopTurned, StepCompleted, StepFailed, StepSkipped, StepStarted
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest

VIEWER = Viewer(tenant_id="acme", user_id="ada")
TOLD = (
    TaskStarted,
    SubtaskStarted,
    StepStarted,
    StepCompleted,
    StepFailed,
    StepSkipped,
    BranchChosen,
    LoopTurned,
    TaskCompleted,
    TaskFailed,
    TaskCanceled,
)


class Life:
    """One process on a database, with one workflow. `counted` is how often each of its functions was called."""

    def __init__(self, database: Path, limits: Limits, plan: "Plan", cut: Cut | None = None) -> None:
        self.task_id = ""
        self.counted: Counter[str] = Counter()
        self._cut = cut
        self.kernel = Kernel(self._app(plan), database, limits=limits, cut=cut)

    def count(self, name: str) -> Step:
        """Return a step whose function says which one it is: by its name, its turn, and what was before."""

        def count(given: StepInput) -> Any:
            before = given.previous.content if given.previous else given.request
            key = f"{name} {given.iteration} after {crc32(before.encode())}"
            self.counted[key] += 1
            return {"is": key}

        return Step(name, count, repeatable=True)

    def fail(self, name: str) -> Step:
        """Return a step that fails twice, and then is left out."""

        def fail(given: StepInput) -> None:
            raise RuntimeError("always")

        return Step(name, fail, max_retries=1, retry_delay_seconds=0, skip_on_failure=True, repeatable=True)

    def _app(self, plan: "Plan") -> Musterd:
        """Build the app anew, as a fresh process would."""
        flow = Workflow("w", plan(self))

        def build(context: RequestContext) -> Workflow:
            # The first that is built is the root; its task may be stored without anybody being told of it.
            self.task_id = self.task_id or context.task_id
            return flow

        return Musterd(workflows=[WorkflowFactory("w", build)])

    async def __aenter__(self) -> Self:
        await self.kernel.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await (self.kernel.die() if self._cut is not None else self.kernel.stop())

    async def live(self, task_id: str = "") -> "Outcome":
        """Run the workflow to its end, from its beginning or from where an earlier process left it."""
        if task_id:
            self.task_id = task_id
        else:
            identity = Identity(tenant_id="acme", user_id="ada", captured_at=await self.kernel.real_store.now())
            component = ComponentRef(kind=ComponentKind.WORKFLOW, id="w")
            started = await self.kernel.runs.start(RunRequest(component=component, identity=identity, message="go"))
            self.kernel.hub.leave(started.follower)
            self.task_id = started.task.task_id
        waited = await self.kernel.tasks.wait(VIEWER, [self.task_id], wait_for_any=False, seconds=30)
        assert not waited.timed_out
        return await self._outcome()

    async def _outcome(self) -> "Outcome":
        store = self.kernel.real_store
        root = await store.get_task(VIEWER, self.task_id)
        tasks = {each.task_id: each for each in (root, *await store.get_descendants(self.task_id))}
        log = await self.kernel.log_of(self.task_id)
        names = _names_of(root, log)
        told = [event for event in log if isinstance(event.payload, TOLD)]
        return Outcome(
            states={names[task_id]: each.state for task_id, each in tasks.items()},
            outputs={names[task_id]: each.output.text if each.output else "" for task_id, each in tasks.items()},
            tree_usage=root.tree_usage,
            told=Counter(_in_words(event, names) for event in told),
            story=[
                _in_words(event, names) for event in told if event.task_id == self.task_id and not _is_beside(event)
            ],
            log=log,
        )

    async def finished(self) -> set[str]:
        """Return the functions whose outcome is stored."""
        store = self.kernel.real_store
        below = await store.get_descendants(self.task_id) if self.task_id else ()
        outcomes: list[dict[str, Any]] = [
            {"value": None} | json.loads(step.outcome_json)
            for task_id in (self.task_id, *(each.task_id for each in below))
            for step in (await store.load_journal(task_id)).tool_steps.values()
            if step.status is ToolStatus.RETURNED and step.tool_call_id[-1].isdigit() and b'"is"' in step.outcome_json
        ]
        return {outcome["value"]["is"] for outcome in outcomes if "is" in (outcome["value"] or ())}


Plan: TypeAlias = Callable[[Life], Sequence[Any]]
"""Makes the steps of a workflow, with what the life at hand counts."""


def _names_of(root: Task, log: Sequence[Event]) -> dict[str, str]:
    """Return a name for each task, by where it is in the tree and the how-manieth of its kind it is there."""
    names, counts = {root.task_id: root.component.id}, Counter[str]()
    for event in log:
        if isinstance(event.payload, SubtaskStarted):
            name = f"{names[event.task_id]}/{event.payload.component.id}"
            counts[name] += 1
            names[event.payload.subtask_id] = f"{name} {counts[name]}"
    return names


def _in_words(event: Event, names: dict[str, str]) -> str:
    text = repr(event.payload)
    for task_id, name in names.items():
        text = text.replace(task_id, name)
    # The failures of functions are told with an id that leads into the server's log.
    return f"{names[event.task_id]}: {text.partition('the server')[0]}"


def _is_beside(event: Event) -> bool:
    """Whether an event is told at the same time as others, in any order."""
    path = getattr(event.payload, "path", ())
    return isinstance(event.payload, SubtaskStarted) or (len(path) > 1 and path[0] == "both")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left of a tree when all is over. `story` is what the workflow told, in order."""

    states: dict[str, TaskState]
    outputs: dict[str, str]
    tree_usage: Any
    told: Counter[str]
    story: Sequence[str]
    log: Sequence[Event]

    def comparable(self) -> list[Any]:
        """Return what must be as in any other run."""
        return [self.states, self.outputs, self.tree_usage, self.told, self.story]


async def live_until(life: Life, cut: Cut) -> bool:
    """Run until the cut. Returns whether the run was cut before its end."""
    living = asyncio.ensure_future(life.live())
    cutting = asyncio.ensure_future(cut.happened.wait())
    await asyncio.wait({living, cutting}, return_when=asyncio.FIRST_COMPLETED)
    for each in (living, cutting):
        each.cancel()
    await asyncio.gather(living, cutting, return_exceptions=True)
    return cut.happened.is_set()


async def is_stored(kernel: Kernel, task_id: str) -> bool:
    try:
        await kernel.tasks.get(VIEWER, task_id)
    except MusterdError:
        return False
    return True


ROOMY, NARROW = Limits(), Limits(max_running_tasks=1)
"""With room for one, children come from the queue, so that claims are commits to cut at too."""


async def cut_everywhere(folder: Path, plan: Plan, limits: Limits, *, after: bool) -> tuple[Outcome, int]:
    """Cut a workflow at each of its commits, and hold what comes of it against a run that was not cut.

    Returns that one, and the number of cuts.
    """
    async with Life(folder / "uncut.db", limits, plan) as uncut_life:
        uncut = await uncut_life.live()
    cuts = 0
    while True:
        database = folder / f"cut-{cuts + 1}.db"
        cut = Cut(cuts + 1, after=after)
        async with Life(database, limits, plan, cut) as first:
            was_cut = await live_until(first, cut)
            finished = await first.finished()
        if not was_cut:
            return uncut, cuts
        cuts += 1
        async with Life(database, limits, plan) as second:
            outcome = await second.live(first.task_id if await is_stored(second.kernel, first.task_id) else "")
        assert outcome.comparable() == uncut.comparable(), f"cut at commit {cuts}"
        assert [event.sequence for event in outcome.log] == list(range(1, len(outcome.log) + 1))
        assert not (repeated := finished & second.counted.keys()), f"{repeated} at commit {cuts}"
