"""Steps that somebody outside looks at, before they are done or after."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.actors import saying
from tests.support.followers import GUARD_SECONDS, Follower
from tests.support.runtime_kernel import Kernel
from tests.support.workflow_runs import Ran, ran

from musterd import Musterd, Parallel, Review, Step, StepInput, Workflow
from musterd.domain.approval_store import Resolution as Decision
from musterd.domain.approval_store import Verdict
from musterd.domain.errors import Reason
from musterd.domain.principal import Identity, Viewer
from musterd.domain.task import ComponentKind, ComponentRef, Task
from musterd.domain.task import TaskState as State
from musterd.runtime.limits import Limits
from musterd.runtime.runs import RunRequest
from musterd.testing import serve
from musterd_client import Approval, ApprovalKind, ApprovalRequested, Event, MusterdClient, Resolution, TaskState

VIEWER = Viewer(tenant_id="acme", user_id="ada")


class Desk:
    """A run of a workflow with somebody who decides about its steps."""

    def __init__(self, client: MusterdClient, follower: Follower) -> None:
        self.client = client
        self._follower = follower

    @property
    def task_id(self) -> str:
        return self._follower.events[0].task_id

    async def asked(self, number: int = 1) -> Approval:
        """Return what is asked as the `number`-th of this run."""

        def is_it(event: Event) -> bool:
            requests = [each for each in self._follower.events if isinstance(each, ApprovalRequested)]
            return len(requests) >= number and event is requests[number - 1]

        event = await self._follower.seen(is_it)
        assert isinstance(event, ApprovalRequested)
        return event.approval

    async def decide(self, *resolutions: Resolution) -> None:
        await self.client.tasks.resolve(self.task_id, resolutions)

    async def ended(self) -> Ran:
        await self._follower.ended()
        return await ran(self.client, self.task_id)


@asynccontextmanager
async def desk(*steps: Any, **options: Any) -> AsyncGenerator[Desk]:
    async with (
        serve(Musterd(workflows=[Workflow("w", steps)]), **options) as client,
        Follower(client.run_workflow("w", "go")) as follower,
    ):
        yield Desk(client, follower)


def work(given: StepInput) -> str:
    return f"better: {given.feedback}" if given.feedback else "a draft"


def see(given: StepInput) -> str:
    return f"went on with {given.previous.content if given.previous else 'nothing'}"


async def test_a_step_is_done_once_somebody_agrees() -> None:
    """W1, N2: what it is to go on from is shown, and nothing is told of it before."""
    review = Review(when="before", text="May it be printed?")
    async with desk(work, Step("print", see, review=review)) as office:
        approval = await office.asked()
        task = await office.client.tasks.status(office.task_id)
        assert task.state is TaskState.INPUT_REQUIRED
        assert (approval.kind, approval.tool_name, approval.text) == (
            ApprovalKind.REVIEW,
            "print",
            "May it be printed?",
        )
        assert json.loads(approval.arguments_json) == {"request": "go", "previous": "a draft"}
        await office.decide(Resolution.approve())
        result = await office.ended()
    assert result.text == "went on with a draft"
    assert result.story == ["work starts", "work: a draft", "print starts", "print: went on with a draft"]


async def test_what_a_step_gave_is_used_once_somebody_agrees() -> None:
    """W1, N2: it is completed then, and not before."""
    async with desk(Step("work", work, review=Review(text="Is it good?")), see) as office:
        approval = await office.asked()
        assert json.loads(approval.arguments_json) == {"output": "a draft"}
        await office.decide(Resolution.approve())
        result = await office.ended()
    assert result.text == "went on with a draft"
    order = [event.kind for event in result.events]
    assert order.index("approval_resolved") < order.index("step_completed")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("given", "text"), [("mine", "mine"), ({"a": 1}, '{"a": 1}')])
async def test_somebody_may_give_the_output_instead(when: Any, given: Any, text: str) -> None:
    """W1, N2: of a step that was not done yet too; then it never is."""
    async with desk(Step("work", work, review=Review(when=when)), see) as office:
        await office.asked()
        await office.decide(Resolution.give(given))
        result = await office.ended()
    assert result.text == f"went on with {text}"
    assert ("work starts" in result.story) is (when == "after")
    assert f"work: {text}" in result.story


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_denial_ends_the_workflow(when: Any) -> None:
    """W1, N2 (refusal): with its reason."""
    async with desk(Step("work", work, review=Review(when=when)), see) as office:
        await office.asked()
        await office.decide(Resolution.deny(reason="too short"))
        result = await office.ended()
    assert result.error == ("STEP_FAILED", "REVIEW_DENIED", "the step 'work' failed: it was denied: too short")
    assert result.story[-1] == "work fails"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_denial_may_leave_the_step_out(when: Any) -> None:
    """W1, N2: the next one goes on with what was before it."""
    async with desk(
        Step("first", lambda _: "first"), Step("work", work, review=Review(when=when, on_deny="skip")), see
    ) as office:
        await office.asked()
        await office.decide(Resolution.deny(reason="not today"))
        result = await office.ended()
    assert result.text == "went on with first"
    assert "work is skipped: it was denied: not today" in result.story


async def test_a_denied_step_may_be_done_again_with_the_reason() -> None:
    """W1, N2: a function reads it, and is asked about anew."""
    async with desk(Step("work", work, review=Review(on_deny="retry"))) as office:
        first = await office.asked()
        await office.decide(Resolution.deny(first.approval_id, reason="shorter"))
        second = await office.asked(2)
        assert json.loads(second.arguments_json) == {"output": "better: shorter"}
        await office.decide(Resolution.approve(second.approval_id))
        result = await office.ended()
    assert result.text == "better: shorter"
    assert result.story == [
        "work starts",
        "work fails and is tried again",
        "work starts again",
        "work: better: shorter",
    ]


async def test_an_agent_is_told_why_it_was_denied() -> None:
    """W1, N2: beside what it was asked before."""
    asked = saying("an answer")
    async with desk(Step("ann", asked.member("any"), review=Review(on_deny="retry"))) as office:
        await office.decide(Resolution.deny((await office.asked()).approval_id, reason="shorter"))
        await office.decide(Resolution.approve((await office.asked(2)).approval_id))
        await office.ended()
    assert [list(reading.prompts) for reading in asked.readings] == [
        ["go"],
        ["go\n\nWhat a reviewer said of your last answer:\nshorter"],
    ]


async def test_only_so_many_denials_are_followed_by_another_try() -> None:
    """W1, N2: failures count for themselves."""
    async with desk(Step("work", work, review=Review(on_deny="retry", max_retries=1))) as office:
        for number in (1, 2):
            await office.decide(Resolution.deny((await office.asked(number)).approval_id, reason=f"no {number}"))
        result = await office.ended()
    assert result.error[1:] == ("REVIEW_DENIED", "the step 'work' failed: it was denied: no 2")


async def test_parallel_steps_are_decided_about_one_by_one() -> None:
    """W1, N2: in any order, and the others go on meanwhile."""
    steps = [Step(name, work, review=Review()) for name in ("a", "b")]
    async with desk(Parallel(steps)) as office:
        approvals = {each.tool_name: each for each in [await office.asked(1), await office.asked(2)]}
        await office.decide(Resolution.give("mine", approvals["b"].approval_id))
        await office.decide(Resolution.approve(approvals["a"].approval_id))
        result = await office.ended()
    assert result.value == {"a": "a draft", "b": "mine"}


async def test_a_review_in_an_inner_workflow_is_decided_with_the_root() -> None:
    """W1, N2: it bubbles up."""
    inner = Workflow("inner", [Step("work", work, review=Review())])
    async with desk(Step("nested", inner)) as office:
        approval = await office.asked()
        assert approval.task_id != office.task_id
        await office.decide(Resolution.approve(approval.approval_id))
        result = await office.ended()
    assert result.text == "a draft"


async def test_a_review_outlives_its_server(tmp_path: Path) -> None:
    """W1, N2, R3: what was done is not done again, and the decision is taken in the next life."""
    done: list[str] = []

    def build() -> Musterd:
        def note(given: StepInput) -> str:
            done.append("done")
            return "a draft"

        return Musterd(workflows=[Workflow("w", [Step("note", note, review=Review()), see])])

    async with serve(build(), folder=tmp_path) as client, Follower(client.run_workflow("w", "go")) as follower:
        office = Desk(client, follower)
        approval = await office.asked()
        task_id = office.task_id
    async with serve(build(), folder=tmp_path) as client:
        await client.tasks.resolve(task_id, [Resolution.approve(approval.approval_id)])
        result = await ran(client, task_id)
    assert (result.text, done) == ("went on with a draft", ["done"])
    assert len(result.story) == len(set(result.story))


@asynccontextmanager
async def kernel_of(*steps: Any, database: Path, **limits: float) -> AsyncGenerator[tuple[Kernel, str]]:
    """Give a runtime with bounds that no settings allow, and the id of a run of a workflow."""
    app = Musterd(workflows=[Workflow("w", steps)])
    kernel = Kernel(app, database, limits=replace(Limits(), **limits))
    await kernel.start()
    try:
        identity = Identity(tenant_id="acme", user_id="ada", captured_at=await kernel.real_store.now())
        component = ComponentRef(kind=ComponentKind.WORKFLOW, id="w")
        started = await kernel.runs.start(RunRequest(component=component, identity=identity, message="go"))
        kernel.hub.leave(started.follower)
        yield kernel, started.task.task_id
    finally:
        await kernel.stop()


async def end_of(kernel: Kernel, task_id: str) -> Task:
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            # It returns as well when the task needs input, which it does until the time is over.
            waited = await kernel.tasks.wait(VIEWER, [task_id], wait_for_any=False, seconds=GUARD_SECONDS)
            if waited.tasks[0].state.is_terminal:
                return waited.tasks[0]


async def test_a_workflow_that_waits_long_is_parked_and_goes_on(tmp_path: Path) -> None:
    """W1, N2: it gives its process up once all its branches wait, and is done by whoever decides about the last."""
    both = Parallel([Step(name, work, review=Review()) for name in ("a", "b")])
    async with kernel_of(both, see, database=tmp_path / "p.db", approval_park_seconds=0.01) as (kernel, task_id):
        async with asyncio.timeout(GUARD_SECONDS):
            while kernel.supervisor.running_count:
                await kernel.tasks.get(VIEWER, task_id)
        parked = await kernel.tasks.get(VIEWER, task_id)
        assert (parked.state, len(parked.approvals)) == (State.INPUT_REQUIRED, 2)
        for approval in parked.approvals:
            decision = Decision(approval_id=approval.approval_id, verdict=Verdict.APPROVE)
            await kernel.tasks.resolve(VIEWER, task_id=task_id, resolutions=[decision], user_id="ada", request=None)
        task = await end_of(kernel, task_id)
    assert (task.state, task.attempt) == (State.COMPLETED, 2)
    assert task.output is not None
    assert task.output.text == "went on with a:\na draft\n\nb:\na draft"


async def test_nobody_who_decides_in_time_is_a_denial(tmp_path: Path) -> None:
    """W1, N2: with nothing that could be done better."""
    step = Step("work", work, review=Review(on_deny="retry"))
    async with kernel_of(step, database=tmp_path / "e.db", approval_timeout_seconds=0.01) as (kernel, task_id):
        task = await end_of(kernel, task_id)
    assert task.error is not None
    assert (task.error.reason, task.error.cause) == (Reason.STEP_FAILED, "REVIEW_DENIED")
    assert task.error.message == "the step 'work' failed: nobody decided about it in time"
