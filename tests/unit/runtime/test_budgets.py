"""What a tree may spend: every step is charged once, and what comes after the last is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import Budget, Usage, UsageLimits
from musterd.runtime.budgets import Budgets, TaskBudget, TreeBudget

AMOUNTS = st.integers(0, 5)
STEPS = st.builds(Usage, requests=AMOUNTS, tool_calls=AMOUNTS, input_tokens=AMOUNTS, output_tokens=AMOUNTS)


def plus(*usages: Usage) -> Usage:
    return Usage(
        requests=sum(each.requests for each in usages),
        tool_calls=sum(each.tool_calls for each in usages),
        input_tokens=sum(each.input_tokens for each in usages),
        output_tokens=sum(each.output_tokens for each in usages),
    )


def make_tree(limits: UsageLimits | None = None, spent: Usage | None = None) -> TreeBudget:
    return TreeBudget(limits or UsageLimits(), spent or Usage())


@pytest.mark.parametrize(
    ("limits", "below", "at", "text"),
    [
        (UsageLimits(requests=3), Usage(requests=2), Usage(requests=3), "3 of 3 requests"),
        (UsageLimits(input_tokens=9), Usage(input_tokens=8), Usage(input_tokens=9), "9 of 9 input tokens"),
        (UsageLimits(output_tokens=9), Usage(output_tokens=8), Usage(output_tokens=9), "9 of 9 output tokens"),
        (
            UsageLimits(total_tokens=9),
            Usage(input_tokens=4, output_tokens=4),
            Usage(input_tokens=4, output_tokens=5),
            "9 of 9 total tokens",
        ),
        # The request that makes something of the last result is allowed.
        (UsageLimits(tool_calls=2), Usage(tool_calls=2), Usage(tool_calls=3), "3 of 2 tool calls"),
    ],
)
def test_a_request_is_refused_when_nothing_is_left(limits: UsageLimits, below: Usage, at: Usage, text: str) -> None:
    """R10 (refusal): and not one step before."""
    make_tree(limits, below).check()
    with pytest.raises(MusterdError) as refused:
        make_tree(limits, at).check()
    assert refused.value.reason is Reason.USAGE_LIMIT_EXCEEDED
    assert refused.value.message == f"the run and all that it started have spent what they may spend: {text}"


def test_a_tool_call_is_refused_when_none_is_left() -> None:
    """R10: one that runs counts, one that failed does not."""
    tree = make_tree(UsageLimits(tool_calls=2))
    budget = TaskBudget(tree, Usage())
    with budget.tool_call(is_new=True):
        with pytest.raises(ZeroDivisionError), TaskBudget(tree, Usage()).tool_call(is_new=True):
            raise ZeroDivisionError
        with budget.tool_call(is_new=True):
            tree.check()
            with pytest.raises(MusterdError, match="2 of 2 tool calls"), budget.tool_call(is_new=True):
                pass
    assert tree.spent == Usage(tool_calls=2)


def test_a_tool_call_that_goes_on_after_a_crash_is_not_refused() -> None:
    """R10, S3: it was allowed when it began."""
    tree = make_tree(UsageLimits(tool_calls=1), Usage(tool_calls=1))
    with TaskBudget(tree, Usage()).tool_call(is_new=False):
        pass
    assert tree.spent.tool_calls == 2


@given(stored=st.lists(STEPS), lost=st.lists(STEPS), fresh=st.lists(STEPS))
def test_a_replay_is_charged_once_whatever_was_stored_of_it(
    stored: list[Usage], lost: list[Usage], fresh: list[Usage]
) -> None:
    """R10: the row says what was `stored`; steps after it are in the journal alone, and then there are new ones."""
    others = Usage(requests=7, input_tokens=70)
    before = plus(*stored)
    tree = make_tree(spent=plus(others, before))
    budget = TaskBudget(tree, before)
    total = Usage()
    for step in (*stored, *lost, *fresh):
        total = plus(total, step)
        budget.charge_up_to(total)
    assert tree.spent == plus(others, total)


@given(steps=st.lists(st.tuples(st.integers(0, 2), STEPS)))
def test_a_tree_has_spent_what_its_tasks_have(steps: list[tuple[int, Usage]]) -> None:
    """R10."""
    tree = make_tree()
    budgets = [TaskBudget(tree, Usage()) for _ in range(3)]
    totals = [Usage()] * 3
    for number, step in steps:
        totals[number] = plus(totals[number], step)
        budgets[number].charge_up_to(totals[number])
    assert tree.spent == plus(*totals)


def test_tool_calls_that_pydantic_ai_counts_later_are_charged_once() -> None:
    """R10."""
    tree = make_tree()
    budget = TaskBudget(tree, Usage())
    for _ in range(2):
        with budget.tool_call(is_new=True):
            pass
    budget.charge_up_to(Usage(requests=1, tool_calls=2))
    assert tree.spent == Usage(requests=1, tool_calls=2)


def test_the_tasks_of_a_tree_share_a_budget_until_the_last_of_them_is_over() -> None:
    """R10: what the store says does not count again what was spent here since."""
    budgets = Budgets()
    stored = Budget(limits=UsageLimits(requests=5), spent=Usage(requests=1))
    first = budgets.open("root", stored)
    first.charge(requests=2)
    assert budgets.open("root", replace(stored, spent=Usage(requests=2))) is first
    assert budgets.open("other", stored) is not first
    assert not budgets.close("root")
    assert first.spent == Usage(requests=3)
    assert budgets.close("root")
    assert budgets.open("root", replace(stored, spent=Usage(requests=4))).spent == Usage(requests=4)


def test_what_other_processes_spend_is_known_with_the_answer_to_a_write() -> None:
    """R10, S13: and what was stored of this one is not counted again."""
    tree = make_tree(spent=Usage(requests=1))
    budget, sibling = TaskBudget(tree, Usage(requests=1)), TaskBudget(tree, Usage())
    budget.charge_up_to(Usage(requests=3))
    sibling.charge_up_to(Usage(requests=4))
    assert tree.spent == Usage(requests=7)
    # Others have spent ten.
    budget.settle(Usage(requests=2), Usage(requests=12))
    assert tree.spent == Usage(requests=12 + 1 + 4)
    sibling.settle(Usage(requests=4), Usage(requests=16))
    budget.settle(Usage(requests=3), Usage(requests=17))
    assert tree.spent == Usage(requests=17)


@given(steps=st.lists(st.tuples(st.integers(0, 2), STEPS, st.booleans())), elsewhere=st.lists(STEPS, min_size=1))
def test_a_tree_is_known_to_have_spent_what_it_had_when_a_task_last_stored(
    steps: list[tuple[int, Usage, bool]], elsewhere: list[Usage]
) -> None:
    """R10: and all that was spent here since: never less and never more."""
    tree = make_tree()
    budgets = [TaskBudget(tree, Usage()) for _ in range(3)]
    totals = [Usage()] * 3
    stored = [Usage()] * 3
    others = known_of_others = Usage()
    for turn, (number, step, is_stored) in enumerate(steps):
        others = plus(others, elsewhere[turn % len(elsewhere)])
        totals[number] = plus(totals[number], step)
        budgets[number].charge_up_to(totals[number])
        if is_stored:
            stored[number], known_of_others = totals[number], others
            budgets[number].settle(totals[number], plus(*stored, others))
        assert tree.spent == plus(*totals, known_of_others)


def test_what_an_attempt_never_stored_is_forgotten_with_it() -> None:
    """R10, R11: who goes on with the task is charged for it."""
    tree = make_tree()
    budget = TaskBudget(tree, Usage())
    budget.charge_up_to(Usage(requests=3))
    budget.settle(Usage(requests=2), Usage(requests=2))
    budget.close()
    assert tree.spent == Usage(requests=2)


def test_an_answer_that_may_hold_what_is_not_known_to_be_stored_is_not_counted() -> None:
    """R10: each kind of spending for itself; what was told before is not taken back."""
    budgets = Budgets()
    tree = budgets.open("root", Budget(limits=UsageLimits(), spent=Usage(requests=4)))
    budget = TaskBudget(tree, Usage())
    budget.charge_up_to(Usage(requests=1))
    budgets.learn("root", Usage(requests=9, input_tokens=70))
    assert tree.spent == Usage(requests=5, input_tokens=70)
    budget.settle(Usage(requests=1), Usage(requests=10, input_tokens=70))
    budgets.learn("root", Usage(requests=8))
    assert tree.spent == Usage(requests=10, input_tokens=70)
    budgets.learn("root", Usage(requests=11))
    budgets.learn("another", Usage(requests=99))
    assert tree.spent == Usage(requests=11, input_tokens=70)
