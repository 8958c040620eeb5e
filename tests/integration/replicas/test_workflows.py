"""Workflows whose tasks run on several servers: steps are spread, reviewed, canceled, and taken over."""

from typing import Any

from pydantic_ai import Agent
from tests.integration.replicas.conftest import Serve
from tests.support.followers import Follower
from tests.support.gated_model import Gate, stopping
from tests.support.trees import endings_in, log_of, tree_of

from musterd import Loop, Musterd, Parallel, Review, Step, StepInput, Workflow
from musterd_client import (
    ApprovalRequested,
    CancelMode,
    MusterdClient,
    Resolution,
    StepCompleted,
    StepStarted,
    TaskState,
)

ONE_SLOT = {"max_running_tasks": 1}
"""So that each server runs one task. A workflow that waits for its steps needs none."""


class Press:
    """A workflow with two agents at a time, each at its gate, and functions that count how often they were called."""

    def __init__(self) -> None:
        self.gates = {name: Gate() for name in ("ann", "bob")}
        self.done: list[str] = []

    @property
    def app(self) -> Musterd:
        agents = [Agent(stopping(gate, after=(f"by {name}",)), name=name) for name, gate in self.gates.items()]
        begin = Loop(Step("begin", self._note), 2, name="twice")
        return Musterd(workflows=[Workflow("w", [begin, Parallel(*agents, name="both"), Step("end", self._note)])])

    def _note(self, given: StepInput) -> Any:
        self.done.append(f"{given.previous.name if given.previous else 'nothing'} {given.iteration}")
        return given.previous.value if given.previous else "\0"

    async def begun(self) -> None:
        for gate in self.gates.values():
            await gate.reached.wait()

    def open(self) -> None:
        for gate in self.gates.values():
            gate.open()


async def begin(client: MusterdClient) -> str:
    async with client.run_workflow("w", "go", background=True) as run:
        return run.task.task_id


async def test_steps_go_on_when_the_server_of_their_workflow_dies_amid_them(serve: Serve) -> None:
    """R3, R11, W1, W2: no step that is done is repeated, and agents that run elsewhere are not disturbed."""
    press = Press()
    async with serve(press.app, runtime=ONE_SLOT) as replicas:
        task_id = await begin(replicas[0].client)
        await press.begun()
        steps = [each for each in await tree_of(replicas[1].client, task_id) if not each.is_root]
        assert len({await replicas.runner_of(each.task_id) for each in steps}) == 2
        number = await replicas.runner_of(task_id)
        kept = [each.task_id for each in steps if await replicas.runner_of(each.task_id) != number]
        left = replicas[(number + 1) % 3].client
        await replicas[number].die()
        await replicas.end_lease(replicas[number])
        press.open()
        log = await log_of(left, task_id)
        tree = {each.task_id: each for each in await tree_of(left, task_id)}
    assert {each.state for each in tree.values()} == {TaskState.COMPLETED}
    assert (tree[task_id].attempt, [tree[each].attempt for each in kept]) == (2, [1] * len(kept))
    output = tree[task_id].output
    assert output is not None
    assert output.json == '{"ann": "by ann", "bob": "by bob"}'
    assert press.done == ["nothing 1", "begin 2", "both 0"]
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert endings_in(log) == dict.fromkeys(tree, 1)
    for kind in (StepStarted, StepCompleted):
        told = [f"{event.place.name} {event.place.iteration}" for event in log if isinstance(event, kind)]
        assert sorted(told) == ["ann 0", "begin 1", "begin 2", "bob 0", "both 0", "end 0", "twice 0"]


async def test_a_cancel_on_any_server_ends_a_workflow_and_its_steps(serve: Serve) -> None:
    """R5, W2: as canceled, on whichever server it is heard first."""
    press = Press()
    async with serve(press.app, runtime=ONE_SLOT) as replicas:
        task_id = await begin(replicas[0].client)
        await press.begun()
        steps = [each for each in await tree_of(replicas[1].client, task_id) if not each.is_root]
        numbers = [await replicas.runner_of(each.task_id) for each in steps]
        runner = replicas[max(numbers)]
        await runner.client.tasks.cancel(task_id, mode=CancelMode.HARD)
        log = await log_of(replicas[2].client, task_id)
        tree = await tree_of(replicas[2].client, task_id)
    assert {each.state for each in tree} == {TaskState.CANCELED}
    assert endings_in(log) == {each.task_id: 1 for each in tree}


async def test_a_review_is_decided_on_another_server(serve: Serve) -> None:
    """N2, W1: also once the workflow was given up by the one that asked."""
    app = Musterd(workflows=[Workflow("w", [Step("work", lambda _: "a draft", review=Review(text="Good?"))])])
    async with serve(app, runtime={"approval_park_seconds": 0.01}) as replicas:
        task_id = await begin(replicas[0].client)
        async with Follower(replicas[1].client.tasks.watch(task_id)) as follower:
            await follower.seen(lambda event: isinstance(event, ApprovalRequested))
            await replicas[2].client.tasks.resolve(task_id, [Resolution.give("better")])
            await follower.ended()
        task = await replicas[1].client.tasks.status(task_id)
    assert task.output is not None
    assert task.output.text == "better"
