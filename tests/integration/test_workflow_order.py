"""In which order, how often and whether at all the steps of a workflow run."""

import asyncio
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.actors import saying
from tests.support.gated_model import Gate, stopping
from tests.support.workflow_runs import counting, run, run_alone

from musterd import Condition, Loop, Musterd, Parallel, Router, Step, StepInput, StepOutput, Steps, Workflow
from musterd.testing import serve
from musterd_client import TaskState


def seen(given: StepInput) -> str:
    """Say what a step can see."""
    before = given.previous.content if given.previous else "nothing"
    return f"{before} of {','.join(given.outputs) or 'none'}"


def say(text: Any, name: str | None = None) -> Step:
    return Step(name or str(text), lambda _: text)


async def test_parallel_steps_run_at_the_same_time() -> None:
    """W1: each waits until the other is there too."""
    arrived = [asyncio.Event(), asyncio.Event()]

    def meeting(index: int) -> Step:
        async def meet(given: StepInput) -> str:
            arrived[index].set()
            await arrived[1 - index].wait()
            return f"met {index}"

        return Step(f"branch {index}", meet)

    ran = await run_alone(Workflow("w", [Parallel(meeting(0), meeting(1), name="both")]))
    assert ran.value == {"branch 0": "met 0", "branch 1": "met 1"}
    assert ran.story[0] == "both starts"
    assert ran.story[-1] == "both: branch 0:\nmet 0\n\nbranch 1:\nmet 1"


async def test_parallel_steps_see_what_was_before_them_and_not_each_other() -> None:
    """W1: what comes after sees them all, also in the next turn of a loop."""
    flow = Workflow(
        "w",
        [
            say("start"),
            Loop(
                [
                    Parallel(Steps([Step("a1", seen), Step("a2", seen)], name="a"), Step("b", seen), name="both"),
                    Step("after", lambda given: ",".join(f"{name}" for name in given.outputs)),
                ],
                2,
                name="loop",
            ),
        ],
    )
    ran = await run_alone(flow)
    completed = [line for line in ran.story if ":" in line]
    assert "a1[1]: start of start" in completed
    assert "a2[1]: start of start of start,a1" in completed
    assert "b[1]: start of start" in completed
    # In the second turn both see what was before it, and what each gave is the newest.
    (after,) = [line for line in completed if line.startswith("after[2]")]
    assert set(after.removeprefix("after[2]: ").split(",")) == {"start", "a1", "a2", "a", "b", "both", "after"}


async def test_a_branch_never_brings_back_what_another_gave_before() -> None:
    """W1: in the second turn of a loop each branch replaces only its own outputs."""
    one, two = counting("one"), counting("two")
    ran = await run_alone(
        Workflow(
            "w",
            [
                Loop([Parallel(one, two, name="both")], 2, name="loop"),
                Step("look", lambda given: f"{given.outputs['one'].content}, {given.outputs['two'].content}"),
            ],
        )
    )
    assert ran.text == "one 2, two 2"


async def test_a_parallel_step_that_fails_cancels_the_others() -> None:
    """W1: the workflow fails with its reason, and what the others have begun is over."""
    gate = Gate()

    async def fail(given: StepInput) -> str:
        await gate.reached.wait()
        raise RuntimeError("boom")

    flow = Workflow("w", [Parallel(Agent(stopping(gate), name="slow"), fail)])
    async with serve(Musterd(workflows=[flow])) as client:
        ran = await run(client, "w")
        (child,) = [task async for task in client.tasks.list(parent_task_id=ran.task.task_id)]
    reason, cause, message = ran.error
    assert (reason, cause) == ("STEP_FAILED", "FUNCTION_RAISED")
    assert message.startswith("the step 'fail' failed: it raised an unexpected error")
    assert child.state is TaskState.CANCELED


async def test_a_loop_turns_until_its_condition_holds() -> None:
    """W1, W2: each turn goes on from the one before, and events carry the iteration."""
    flow = Workflow("w", [say("start"), Loop(counting("draft"), 9, lambda given: given.iteration == 3, name="loop")])
    ran = await run_alone(flow)
    assert ran.text == "draft 3"
    assert ran.story[2:] == [
        "loop starts",
        "draft[1] starts",
        "draft[1]: draft 1",
        "loop turned 1, goes on",
        "draft[2] starts",
        "draft[2]: draft 2",
        "loop turned 2, goes on",
        "draft[3] starts",
        "draft[3]: draft 3",
        "loop turned 3",
        "loop: draft 3",
    ]


async def test_a_loop_ends_with_its_last_iteration() -> None:
    """W1: nobody is asked whether it is to go on then, and each turn sees the one before."""
    asked: list[int] = []

    def never(given: StepInput) -> bool:
        asked.append(given.iteration)
        return False

    before: list[str] = []

    def look(given: StepInput) -> str:
        before.append(given.previous.content if given.previous else "")
        return f"turn {given.iteration}"

    ran = await run_alone(Workflow("w", [Loop(look, 3, never)]))
    assert (ran.text, asked, before) == ("turn 3", [1, 2], ["", "turn 1", "turn 2"])


async def test_loops_in_loops_count_for_themselves() -> None:
    """W1: the inner one begins anew in each turn of the outer one."""
    called = counting("work")
    ran = await run_alone(Workflow("w", [Loop(Loop(called, 2, name="inner"), 3, name="outer")]))
    assert ran.text == "work 6"
    assert [line for line in ran.story if "turned" in line] == [
        "inner[1] turned 1, goes on",
        "inner[1] turned 2",
        "outer turned 1, goes on",
        "inner[2] turned 1, goes on",
        "inner[2] turned 2",
        "outer turned 2, goes on",
        "inner[3] turned 1, goes on",
        "inner[3] turned 2",
        "outer turned 3",
    ]


@pytest.mark.parametrize(
    ("holds", "text", "chosen"), [(True, "yes", "yes"), (False, "no", "no")], ids=["it holds", "it does not"]
)
async def test_a_condition_chooses_between_its_steps(holds: bool, text: str, chosen: str) -> None:
    """W1, W2."""
    ran = await run_alone(Workflow("w", [Condition(lambda _: holds, say("yes"), [say("no")], name="if")]))
    assert ran.text == text
    assert ran.story == ["if starts", f"if chooses {chosen}", f"{chosen} starts", f"{chosen}: {text}", f"if: {text}"]


async def test_a_condition_that_does_not_hold_leaves_its_steps_out() -> None:
    """W1: the next step goes on with what was before it."""

    async def never(given: StepInput) -> bool:
        return False

    ran = await run_alone(Workflow("w", [say("start"), Condition(never, say("x"), name="if"), Step("see", seen)]))
    assert ran.text == "start of start,if"
    assert ran.story[2:5] == ["if starts", "if chooses nothing", "if is skipped: none of its steps ran"]


@pytest.mark.parametrize(
    ("selected", "text"), [("b", "b"), (["c", "a"], "a"), (("b",), "b")], ids=["one", "several", "a tuple"]
)
async def test_a_router_runs_what_its_selector_names(selected: Any, text: str) -> None:
    """W1, W2: several one after the other, in the order that it gives."""
    ran = await run_alone(Workflow("w", [Router([say("a"), say("b"), say("c")], lambda _: selected, name="route")]))
    names = [selected] if isinstance(selected, str) else list(selected)
    assert ran.text == text
    assert ran.story[1] == f"route chooses {', '.join(names)}"
    assert [line for line in ran.story if line.endswith("starts")] == [
        "route starts",
        *(f"{name} starts" for name in names),
    ]


async def test_a_router_may_choose_nothing() -> None:
    """W1."""
    ran = await run_alone(Workflow("w", [say("start"), Router([say("a")], lambda _: [], name="route")]))
    assert ran.text == "start"
    assert ran.story[-1] == "route is skipped: none of its steps ran"


@pytest.mark.parametrize("selected", ["z", ["a", "a"], [7]], ids=["unknown", "twice", "no name"])
async def test_a_router_that_chooses_what_is_not_there_fails(selected: Any) -> None:
    """W1 (refusal): with the names that there are."""
    ran = await run_alone(Workflow("w", [Router([say("a"), say("b")], lambda _: selected, name="route")]))
    reason, cause, message = ran.error
    assert (reason, cause) == ("STEP_FAILED", "UNKNOWN_CHOICE")
    assert message.startswith("the step 'route' failed: it chose ")
    assert message.endswith("but what it chooses must be one of 'a', 'b', each once")
    assert ran.story == ["route starts", "route fails"]


def explode(given: StepInput) -> Any:
    raise RuntimeError("secret")


@pytest.mark.parametrize(
    "container",
    [
        Condition(explode, say("a"), name="it"),
        Router([say("a")], explode, name="it"),
        Loop(say("a"), 2, explode, name="it"),
    ],
    ids=["a condition", "a router", "a loop"],
)
async def test_what_decides_and_raises_fails_the_workflow(container: Any) -> None:
    """W1 (refusal): the exception is for the server's log alone."""
    ran = await run_alone(Workflow("w", [container]))
    reason, cause, message = ran.error
    assert (reason, cause) == ("STEP_FAILED", "FUNCTION_RAISED")
    assert message.startswith("the step 'it' failed: it raised an unexpected error; the server's log has it as ")
    assert "secret" not in message
    assert ran.story[-1] == "it fails"


STOP = Step("stop", lambda _: StepOutput("enough", stop=True))


@pytest.mark.parametrize(
    "part",
    [
        STOP,
        Steps(STOP, say("never")),
        Loop([STOP, say("never")], 3),
        Condition(lambda _: True, [STOP, say("never")]),
        Router(STOP, lambda _: "stop"),
        Parallel(STOP),
    ],
    ids=["alone", "in steps", "in a loop", "in a condition", "in a router", "in parallel"],
)
async def test_a_step_may_end_the_whole_workflow(part: Any) -> None:
    """W1: early stop, wherever it is: it completes with what the step gave."""
    ran = await run_alone(Workflow("w", [say("start"), part, say("never reached")]))
    assert (ran.task.state, ran.text) == (TaskState.COMPLETED, "enough")
    turn = "[1]" if isinstance(part, Loop) else ""
    assert ran.story[-1] == f"stop{turn} stops all: enough"


async def test_a_parallel_step_that_ends_the_workflow_cancels_the_others() -> None:
    """W1: what they have begun is over."""
    gate = Gate()

    async def stop(given: StepInput) -> StepOutput:
        await gate.reached.wait()
        return StepOutput("enough", stop=True)

    flow = Workflow("w", [Parallel(Agent(stopping(gate), name="slow"), stop), say("never")])
    async with serve(Musterd(workflows=[flow])) as client:
        ran = await run(client, "w")
        (child,) = [task async for task in client.tasks.list(parent_task_id=ran.task.task_id)]
    assert (ran.text, child.state) == ("enough", TaskState.CANCELED)


async def test_a_workflow_in_a_workflow_ends_for_itself() -> None:
    """W1: early stop of the inner one is the output of its step."""
    inner = Workflow("inner", [STOP, say("never")])
    ran = await run_alone(Workflow("w", [Step("nested", inner), Step("see", seen)]))
    assert ran.text == "enough of nested"


async def test_containers_give_what_their_last_step_gave_and_all_inside_by_name() -> None:
    """W1: a later step finds every part."""
    found: dict[str, Any] = {}

    def look(given: StepInput) -> None:
        found.update({name: (output.content, sorted(output.outputs)) for name, output in given.outputs.items()})

    group = Steps([say("x"), Parallel([say("y"), saying("z").member("z")], name="pair")], name="group")
    await run_alone(Workflow("w", [group, look]))
    assert found["group"] == ("y:\ny\n\nz:\nz", ["pair", "x"])
    assert found["pair"] == ("y:\ny\n\nz:\nz", ["y", "z"])
    assert found["x"] == ("x", [])
