"""Wherever a run is cut whose model made itself a team, what comes of it is what would have come of it."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.toolsets import AbstractToolset
from tests.support.actors import Actor, Answer, Call, Reading, steps, what_came
from tests.support.cutting import Cut
from tests.support.gated_model import Gate
from tests.support.runtime_kernel import Kernel
from tests.support.stopping_store import StoppingStore

from musterd import AgentFactory, Musterd, RequestContext
from musterd.domain.errors import MusterdError
from musterd.domain.full_store import FullStore
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.runtime.runs import RunRequest
from musterd.subagents import DynamicAgentRegistry, SubAgentConfig, create_subagent_toolset
from musterd.teams import create_team_toolset
from musterd.testing import serve

VIEWER = Viewer(tenant_id="acme", user_id="ada")
YIELDS_BETWEEN_LOOKS = 50
CHECK: Call = ("check_teammates", {})
PLAN: Sequence[Call] = (
    ("spawn_team", {"team_name": "crew", "members": [{"name": "ann"}, {"name": "bob"}]}),
    ("assign_task", {"member_name": "ann", "task_description": "write"}),
    ("assign_task", {"member_name": "bob", "task_description": "draw"}),
    ("add_todo", {"content": "extra"}),
)


class Life:
    """What one process has: its own toolsets, and the id of the task that it was built for first."""

    def __init__(self, *, has_subagents: bool) -> None:
        self.task_id = ""
        self._toolsets = subagents_toolsets() if has_subagents else [create_team_toolset(agent_factory=build_member)]

    @property
    def app(self) -> Musterd:
        return Musterd(agents=[AgentFactory("lead", self._build)])

    def _build(self, context: RequestContext) -> Agent[Any, Any]:
        self.task_id = self.task_id or context.task_id
        return Agent(Actor(lead).model, name="lead", toolsets=self._toolsets)


def subagents_toolsets() -> Sequence[AbstractToolset[Any]]:
    registry = DynamicAgentRegistry()
    subagents = create_subagent_toolset(registry=registry)
    team = create_team_toolset(
        agent_factory=build_member, registry=registry, task_fn=subagents.task, task_manager=subagents.task_manager
    )
    return [subagents, team]


def build_member(config: SubAgentConfig) -> Agent[Any, Any]:
    return Actor(work).member(config["name"])


async def work(reading: Reading) -> Answer:
    """Ask before writing, and tell all that was heard; draw without asking."""
    if "draw" in reading.prompts[0]:
        return "a picture"
    if reading.turn == 1:
        return [("ask_parent", {"question": "which ink?"})]
    return " | ".join((*reading.returns, *reading.prompts[1:]))


async def lead(reading: Reading) -> Answer:
    """Give work to two, answer the one that asks, take a todo off, and tell what the tools said but for the looks."""
    returns = reading.returns
    if len(returns) < len(PLAN):
        return [PLAN[len(returns)]]
    told = [text for text in returns if not text.startswith("Team 'crew' status")]
    if len(told) == len(PLAN):
        is_asked = "Question: which ink?" in returns[-1]
        return [("message_teammate", {"member_name": "ann", "message": "blue"})] if is_asked else await look()
    if not all(f"- {name}: completed" in returns[-1] for name in ("ann", "bob")) and len(told) == len(PLAN) + 1:
        return await look()
    if len(told) == len(PLAN) + 1:
        return [("remove_todo", {"todo_id": told[-2].removeprefix("Todo added (ID: ").removesuffix(")")})]
    return re.sub(r"[0-9a-f-]{36}", "…", "\n".join(told))


async def look() -> Answer:
    for _ in range(YIELDS_BETWEEN_LOOKS):
        await asyncio.sleep(0)
    return [CHECK]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left of the run when all is over, without ids and times."""

    state: TaskState
    output: str
    todos: Sequence[Any]
    messages: Sequence[str]
    children: Sequence[Any]


async def begin(kernel: Kernel) -> str:
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
    request = RunRequest(component=ComponentRef(kind=ComponentKind.AGENT, id="lead"), identity=identity, message="go")
    started = await kernel.runs.start(request)
    kernel.hub.leave(started.follower)
    return started.task.task_id


async def finish(kernel: Kernel, task_id: str) -> Outcome:
    waited = await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=30)
    assert not waited.timed_out
    task = waited.tasks[0]
    board = await kernel.real_store.get_board(VIEWER, task_id)
    below = await kernel.real_store.get_descendants(task_id)
    return Outcome(
        state=task.state,
        output=task.output.text if task.output else str(task.error),
        todos=[
            (todo.content, todo.status, todo.assigned_to, todo.attempts, todo.result) for todo in board.todos.values()
        ],
        messages=[message.content for message in board.messages],
        children=sorted(
            (child.component.id, child.state, child.output.text if child.output else str(child.error))
            for child in below
            if child.parent_task_id == task_id
        ),
    )


async def is_stored(kernel: Kernel, task_id: str) -> bool:
    try:
        await kernel.tasks.get(VIEWER, task_id)
    except MusterdError:
        return False
    return True


async def run_uncut(folder: Path, *, has_subagents: bool) -> Outcome:
    kernel = Kernel(Life(has_subagents=has_subagents).app, folder / "uncut.db")
    await kernel.start()
    outcome = await finish(kernel, await begin(kernel))
    await kernel.stop()
    return outcome


async def first_life(life: Life, database: Path, cut: Cut) -> bool:
    """Run until the cut. Returns False when the run ended before."""
    kernel = Kernel(life.app, database, cut=cut)
    await kernel.start()
    cutting = asyncio.ensure_future(cut.happened.wait())
    running = asyncio.ensure_future(_run(kernel))
    await asyncio.wait({running, cutting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, cutting):
        task.cancel()
    await asyncio.gather(running, cutting, return_exceptions=True)
    was_cut = cut.happened.is_set()
    await kernel.die()
    return was_cut


async def _run(kernel: Kernel) -> None:
    await finish(kernel, await begin(kernel))


@pytest.mark.parametrize("has_subagents", [False, True], ids=["members", "subagents as members"])
async def test_a_made_team_that_is_cut_at_any_commit_comes_to_the_same_end(tmp_path: Path, has_subagents: bool) -> None:
    """T5, R3: each call that is made again is told what it was told, and nobody is given anything twice."""
    uncut = await run_uncut(tmp_path, has_subagents=has_subagents)
    assert uncut.output.endswith("Answer delivered to 'ann', which was waiting for one.\nTodo '…' is removed")
    assert uncut.children == [("ann", TaskState.COMPLETED, "blue"), ("bob", TaskState.COMPLETED, "a picture")]
    assert uncut.messages == []
    cuts = 0
    # What both have in common is cut at all commits by the one that has more.
    for at in count(1, 1 if has_subagents else 2):
        life, database = Life(has_subagents=has_subagents), tmp_path / f"cut-{at}.db"
        if not await first_life(life, database, Cut(at)):
            break
        cuts += 1
        kernel = Kernel(Life(has_subagents=has_subagents).app, database)
        await kernel.start()
        task_id = life.task_id if await is_stored(kernel, life.task_id) else await begin(kernel)
        outcome = await finish(kernel, task_id)
        await kernel.stop()
        assert outcome == uncut, f"cut at commit {at}"
    assert cuts >= 15


async def test_an_answer_whose_call_is_made_again_is_no_message(tmp_path: Path) -> None:
    """T5, S7: the member was answered, so it reads nothing more."""
    answered = Gate()

    def stop_after_answer(store: FullStore) -> Any:
        return StoppingStore(store, "answer", answered, after=True)

    life = Life(has_subagents=False)
    kernel = Kernel(life.app, tmp_path / "musterd.db", wrap_store=stop_after_answer)
    await kernel.start()
    task_id = await begin(kernel)
    await answered.reached.wait()
    await kernel.die()
    kernel = Kernel(Life(has_subagents=False).app, tmp_path / "musterd.db")
    await kernel.start()
    outcome = await finish(kernel, task_id)
    await kernel.stop()
    assert outcome.messages == []
    assert "Answer delivered to 'ann'" in outcome.output
    assert outcome.children[0] == ("ann", TaskState.COMPLETED, "blue")


async def test_a_member_of_an_earlier_run_of_the_session_is_not_there_any_more() -> None:
    """T5, C2: a team ends with its run, also when nobody dissolved it."""
    model = steps([PLAN[0]], "spawned", [("task", {"description": "draw", "subagent_type": "ann"})], what_came)
    boss = Agent(model.model, name="boss", toolsets=subagents_toolsets())
    async with serve(Musterd(agents=[boss])) as client:
        await client.run_agent("boss", "go", session_id="s-1").result()
        result = await client.run_agent("boss", "go on", session_id="s-1").result()
    assert result.text.endswith(" | Error: Unknown subagent 'ann'. Available: general-purpose")
