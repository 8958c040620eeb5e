"""Servers that are lost: another one goes on from the last finished step, and what the lost one still says is void."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from tests.integration.replicas.conftest import Serve
from tests.integration.replicas.served import Replicas
from tests.support.followers import Follower
from tests.support.gated_model import Delta, Gate
from tests.support.scripted import tool_returns_in
from tests.support.stage import Stage, at, do, task, wait
from tests.support.trees import children_of, endings_in, log_of

from musterd import Musterd
from musterd_client import Event, StepRestarted, TaskState, TextDelta


class Work:
    """An agent that calls a tool, and then answers: each request and each call is counted, the answers wait."""

    def __init__(self) -> None:
        self.answers: list[Gate] = []
        self.tool_calls = 0
        self._has_come = asyncio.Condition()

    @property
    def app(self) -> Musterd:
        return Musterd(agents=[Agent(FunctionModel(stream_function=self._stream), name="worker", tools=[self.count])])

    async def count(self) -> str:
        self.tool_calls += 1
        return f"call {self.tool_calls}"

    async def answering(self, times: int) -> Gate:
        """Return the gate at which the last answer waits, once so many have been begun."""
        async with self._has_come:
            await self._has_come.wait_for(lambda: len(self.answers) == times)
        await self.answers[-1].reached.wait()
        return self.answers[-1]

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        returns = tool_returns_in(messages)
        if not returns:
            yield {0: DeltaToolCall(name="count", json_args="{}", tool_call_id="call-1")}
            return
        gate, number = Gate(), len(self.answers) + 1
        async with self._has_come:
            self.answers.append(gate)
            self._has_come.notify_all()
        yield f"begun by {number}, "
        await gate.wait()
        yield f"{returns[0].content}, ended by {number}"


async def begin(replicas: Replicas, work: Work) -> str:
    """Run the worker on the first server until it answers, and return the id of its task."""
    async with replicas[0].client.run_agent("worker", "go", background=True) as run:
        task_id = run.task.task_id
    async with Follower(replicas[2].client.tasks.watch(task_id)) as follower:
        await follower.seen(lambda event: isinstance(event, TextDelta))
    await work.answering(1)
    return task_id


def check(log: Sequence[Event], task_id: str) -> None:
    """Hold that a log has no hole, and one end."""
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert endings_in(log) == {task_id: 1}
    assert log[-1].kind == "task_completed"


async def test_a_server_whose_lease_is_over_loses_its_runs_to_another(serve: Serve) -> None:
    """R11: which goes on after the tool; a follower sees each event once, and what the first says is lost."""
    work = Work()
    async with serve(work.app) as replicas:
        task_id = await begin(replicas, work)
        async with Follower(replicas[0].client.tasks.watch(task_id)) as follower:
            before = replicas[0].owner
            await replicas.end_lease(replicas[0])
            second = await work.answering(2)
            assert await replicas.owner_of(task_id) != before
            # The zombie goes on to speak, unless it has heard by now.
            work.answers[0].open()
            await replicas[0].has_name(2)
            second.open()
            log = list(await follower.ended())
        task = await replicas[1].client.tasks.status(task_id)
    assert (task.state, task.attempt, work.tool_calls) == (TaskState.COMPLETED, 2, 1)
    assert task.output is not None
    assert task.output.text == "begun by 2, call 1, ended by 2"
    assert any(isinstance(event, StepRestarted) for event in log)
    assert "ended by 1" not in str(log)
    check(log, task_id)


async def test_a_server_that_stops_in_good_order_hands_its_runs_over_at_once(serve: Serve) -> None:
    """R11: not when its lease runs out, which a clock that stands still would never let it."""
    work = Work()
    async with serve(work.app) as replicas:
        task_id = await begin(replicas, work)
        async with Follower(replicas[1].client.tasks.watch(task_id)) as follower:
            await replicas[0].stop()
            assert await replicas.owner_of(task_id) != replicas[0].owner
            (await work.answering(2)).open()
            log = list(await follower.ended())
        task = await replicas[2].client.tasks.status(task_id)
    assert (task.attempt, work.tool_calls) == (2, 1)
    check(log, task_id)


async def test_the_tasks_of_a_server_that_dies_are_taken_over_after_its_lease(serve: Serve) -> None:
    """R11."""
    work = Work()
    async with serve(work.app) as replicas:
        task_id = await begin(replicas, work)
        async with Follower(replicas[1].client.tasks.watch(task_id)) as follower:
            await replicas[0].die()
            second = await work.answering(2)
            assert await replicas.runner_of(task_id) in (1, 2)
            second.open()
            log = list(await follower.ended())
        task = await replicas[2].client.tasks.status(task_id)
    assert (task.state, task.attempt, work.tool_calls) == (TaskState.COMPLETED, 2, 1)
    check(log, task_id)


async def test_a_tree_outlives_the_server_of_its_root(serve: Serve) -> None:
    """R11, S13: the child that runs elsewhere is not started twice, and its result is waited for anew."""
    stage = Stage()
    child = do(at("child"), "one")
    plan = do(task(child), at("boss"), wait("@0"))
    async with serve(stage.app(), runtime={"max_running_tasks": 1}) as replicas:
        async with replicas[0].client.run_agent("boss", plan, background=True) as run:
            root = run.task.task_id
        await stage.gates["child"].reached.wait()
        (below,) = (await children_of(replicas[1].client, root)).values()
        await replicas[0].stop()
        for gate in ("child", "boss"):
            stage.gates[gate].open()
        log = await log_of(replicas[1].client, root)
        tree = [await replicas[2].client.tasks.status(each) for each in (root, below.task_id)]
    assert {each.state for each in tree} == {TaskState.COMPLETED}
    assert endings_in(log) == {root: 1, below.task_id: 1}
    assert stage.seen_of(child) == 1


async def test_a_tree_outlives_the_server_of_its_child(serve: Serve) -> None:
    """R11, S13: a third server goes on with the child, and its parent hears of the end."""
    stage = Stage()
    child = do(at("child"), "one")
    plan = do(task(child), at("boss"), wait("@0"))
    async with serve(stage.app(), runtime={"max_running_tasks": 1}) as replicas:
        async with replicas[0].client.run_agent("boss", plan, background=True) as run:
            root = run.task.task_id
        await stage.gates["child"].reached.wait()
        (below,) = (await children_of(replicas[0].client, root)).values()
        await replicas[await replicas.runner_of(below.task_id)].die()
        for gate in ("child", "boss"):
            stage.gates[gate].open()
        log = await log_of(replicas[0].client, root)
        ended = await replicas[0].client.tasks.status(below.task_id)
    assert (ended.state, ended.attempt) == (TaskState.COMPLETED, 2)
    assert endings_in(log) == {root: 1, below.task_id: 1}
