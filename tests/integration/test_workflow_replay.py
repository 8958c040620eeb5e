"""Wherever a workflow is cut, what comes of it and of its steps is what would have come of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.workflow_lives import NARROW, ROOMY, Life, cut_everywhere

from musterd import Condition, Loop, Parallel, Router, Step, StepOutput, Steps, Workflow
from musterd.domain.task import TaskState
from musterd.runtime.limits import Limits

both_ways = pytest.mark.parametrize(
    ("limits", "after"), [(ROOMY, False), (NARROW, True)], ids=["before a commit", "after a commit, with little room"]
)


def every_kind(life: Life) -> Sequence[Any]:
    """Return every kind of step, one after the other."""
    inner = Workflow("inner", [life.count("deep"), Agent(saying("from the deep"), name="diver")])
    return [
        life.count("first"),
        Parallel(life.count("left"), Agent(saying("right"), name="right"), Step("nested", inner), name="both"),
        life.fail("flaky"),
        Loop([life.count("turn")], 5, lambda given: given.iteration == 2, name="loop"),
        Condition(lambda _: False, life.count("never"), life.count("else"), name="if"),
        Router([life.count("a"), life.count("b")], lambda _: ["b", "a"], name="route"),
        Agent(saying("the end"), name="last"),
    ]


def one_in_the_other(life: Life) -> Sequence[Any]:
    """Return containers in each other, down to workflows in a loop, and a step that ends it all in the middle."""
    inner = Workflow("inner", [life.count("deep"), Agent(saying("from the deep"), name="diver")])
    choices = [Step("nested", inner, prompt="turn {iteration}"), life.count("other")]
    route = Router(choices, lambda given: ["nested", "other"] if given.iteration == 1 else "nested", name="route")
    return [
        Parallel(
            Loop([life.count("turn"), route], 3, lambda given: given.iteration == 2, name="loop"),
            Condition(lambda _: True, Parallel(life.count("x"), life.fail("flaky"), name="in"), name="if"),
            Agent(saying("right"), name="right"),
            name="both",
        ),
        Loop(
            [
                Loop(life.count("cell"), 2, name="columns"),
                Steps(Step("enough", lambda given: StepOutput("enough", stop=given.iteration == 2), repeatable=True)),
            ],
            3,
            name="rows",
        ),
        life.count("never"),
    ]


@both_ways
async def test_a_workflow_that_is_cut_at_any_commit_comes_to_the_same_end(
    tmp_path: Path, limits: Limits, after: bool
) -> None:
    """R3, W1, W2: same outputs and events, each child once, and no function again whose output is stored."""
    uncut, cuts = await cut_everywhere(tmp_path, every_kind, limits, after=after)
    assert set(uncut.states.values()) == {TaskState.COMPLETED}
    assert len(uncut.states) == 5
    assert set(uncut.told.values()) == {1}
    assert cuts >= 30


@both_ways
async def test_containers_in_each_other_come_to_the_same_end(tmp_path: Path, limits: Limits, after: bool) -> None:
    """R3, W1, W2: with workflows in the turns of a loop, and a step that ends the whole workflow early."""
    uncut, cuts = await cut_everywhere(tmp_path, one_in_the_other, limits, after=after)
    assert set(uncut.states.values()) == {TaskState.COMPLETED}
    assert len(uncut.states) == 6
    assert uncut.outputs["w"] == "enough"
    assert cuts >= 30
