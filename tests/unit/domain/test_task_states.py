"""The guarded table of states, and what must hold for every walk through it."""

from hypothesis import given
from hypothesis import strategies as st

from musterd.domain.task import TERMINAL_STATES, TRANSITIONS, TaskState, can_change

STATES = st.sampled_from(list(TaskState))


def test_every_state_has_its_row() -> None:
    """R11."""
    assert set(TRANSITIONS) == set(TaskState)


@given(STATES, STATES)
def test_nothing_leaves_a_terminal_state(old: TaskState, new: TaskState) -> None:
    """R11 (refusal): the first terminal state wins, and a terminal row never changes again."""
    if old.is_terminal:
        assert not can_change(old, new)


@given(st.lists(STATES, max_size=30))
def test_a_walk_by_the_table_ends_at_most_once(wishes: list[TaskState]) -> None:
    """R11."""
    state = TaskState.SUBMITTED
    endings = 0
    for wish in wishes:
        if can_change(state, wish):
            endings += wish.is_terminal
            state = wish
    assert endings <= 1
    assert state.is_terminal == bool(endings)


@given(STATES)
def test_every_live_state_can_end(state: TaskState) -> None:
    """R11: nothing is stuck for good."""
    reached, frontier = {state}, {state}
    while frontier:
        frontier = {new for old in frontier for new in TRANSITIONS[old]} - reached
        reached |= frontier
    assert reached & TERMINAL_STATES


def test_canceling_is_not_undone() -> None:
    """R5, R11."""
    assert TRANSITIONS[TaskState.CANCELING] == {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED}


def test_only_a_task_that_has_not_begun_is_rejected() -> None:
    """C7, R11: it was queued, or has just been claimed."""
    before = [state for state in TaskState if TaskState.REJECTED in TRANSITIONS[state]]
    assert before == [TaskState.SUBMITTED, TaskState.WORKING]
