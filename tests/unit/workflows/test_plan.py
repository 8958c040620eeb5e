"""The places and names of steps in their workflow."""

from typing import Any

import pytest
from pydantic_ai import Agent

from musterd.workflows import Condition, Loop, Parallel, Router, Step, StepInput, Steps, Workflow
from musterd.workflows.plan import MAX_DEPTH, MAX_STEPS, PlannedStep


def work(given: StepInput) -> str:
    return "done"


def step(name: str) -> Step:
    return Step(name, work)


def outline(plan: tuple[PlannedStep, ...]) -> list[Any]:
    """Return the names, each with those inside it."""
    return [[each.name, *outline((*each.steps, *each.else_steps))] for each in plan]


def test_each_step_has_its_path_and_its_place() -> None:
    """W2: as events tell them."""
    flow = Workflow("w", [step("a"), Parallel(step("b"), Loop([step("c"), step("d")], 2, name="l"), name="p")])
    assert [(each.path, each.index) for each in flow.all()] == [
        (("a",), 0),
        (("p",), 1),
        (("p", "b"), 0),
        (("p", "l"), 1),
        (("p", "l", "c"), 0),
        (("p", "l", "d"), 1),
    ]
    assert [each.max_iterations for each in flow.all()] == [0, 0, 0, 2, 0, 0]


def test_containers_without_a_name_are_called_by_their_kind() -> None:
    """W1: with a number where that name is taken, whoever has it."""
    flow = Workflow(
        "w",
        [
            Parallel(step("a"), step("b")),
            Parallel(step("c"), Steps([step("d")])),
            step("loop"),
            Loop(step("e"), 2),
            Condition(lambda _: True, step("f"), [step("g")]),
            Router([step("h")], lambda _: "h"),
        ],
    )
    assert outline(flow.plan) == [
        ["parallel", ["a"], ["b"]],
        ["parallel-2", ["c"], ["steps", ["d"]]],
        ["loop"],
        ["loop-2", ["e"]],
        ["condition", ["f"], ["g"]],
        ["router", ["h"]],
    ]


@pytest.mark.parametrize(
    "steps",
    [
        [step("a"), step("a")],
        [step("a"), Parallel(step("b"), step("a"))],
        [Loop([step("b")], 2, name="a"), step("a")],
        [Condition(lambda _: True, step("a"), step("a"))],
    ],
    ids=["beside", "inside", "a container", "both branches"],
)
def test_a_name_is_unique_within_its_workflow(steps: Any) -> None:
    """W1 (refusal): in all its containers."""
    with pytest.raises(ValueError, match="workflow 'w' has two steps 'a': their names must differ"):
        Workflow("w", steps)


def test_a_workflow_in_another_has_names_of_its_own() -> None:
    """W1."""
    inner = Workflow("inner", [step("a")])
    assert [each.name for each in Workflow("outer", [step("a"), Step("in", inner)]).all()] == ["a", "in"]


def nested(depth: int) -> Any:
    part: Any = step("bottom")
    for level in range(depth - 1):
        part = Steps([part], name=f"level {level}")
    return part


def test_steps_are_nested_only_so_deep() -> None:
    """W1 (refusal): with the workflows in workflows counted."""
    assert len(list(Workflow("w", nested(MAX_DEPTH)).all())) == MAX_DEPTH
    with pytest.raises(ValueError, match="workflow 'w': steps are nested deeper than 32 levels"):
        Workflow("w", nested(MAX_DEPTH + 1))
    inner = Workflow("inner", nested(MAX_DEPTH - 1))
    outer = Workflow("outer", [inner])
    with pytest.raises(ValueError, match="workflow 'w': steps are nested deeper than 32 levels"):
        Workflow("w", [Steps([outer])])


def test_a_workflow_has_only_so_many_steps() -> None:
    """W1."""
    steps = [step(str(number)) for number in range(MAX_STEPS)]
    assert len(Workflow("w", steps).plan) == MAX_STEPS
    with pytest.raises(ValueError, match="workflow 'w' has 1001 steps; at most 1000 are allowed"):
        Workflow("w", [*steps, step("one more")])


def test_a_prompt_with_the_output_of_a_step_that_there_is_not_is_refused() -> None:
    """W1 (refusal): before anything runs; containers have outputs too."""
    asking = Step("ask", Agent(name="any"), prompt="{request}: {outputs[a]} {outputs[both].x}")
    Workflow("w", [Parallel(step("a"), name="both"), asking])
    with pytest.raises(
        ValueError,
        match=r"workflow 'w': the prompt of the step 'ask' has \{outputs\[both\]\}, but there is no step 'both'",
    ):
        Workflow("w", [step("a"), Loop(asking, 2)])


def test_a_step_is_found_by_its_name() -> None:
    """W1: a container is none."""
    flow = Workflow("w", [Parallel(step("a"), name="p")])
    assert flow.find("a").name == "a"
    for name in ("p", "z"):
        with pytest.raises(LookupError, match=f"the workflow 'w' has no step '{name}'"):
            flow.find(name)
