"""When an attempt does nothing but wait for what may take days."""

from musterd.runtime.attempt.activity import Activity


def test_an_attempt_that_works_does_not_only_wait() -> None:
    """N2 (refusal): its model is at work, for one."""
    assert not Activity().only_waits


def test_an_attempt_only_waits_when_each_of_its_parts_does() -> None:
    """N2: its calls of tools, or the branches of a workflow."""
    activity = Activity()
    with activity.tool_call(repeatable=True):
        with activity.waiting(("a",)):
            assert activity.only_waits
            with activity.tool_call(repeatable=True):
                assert not activity.only_waits
                with activity.waiting(("b",)):
                    assert activity.only_waits
        assert not activity.only_waits
    activity.branch_count = 2
    with activity.waiting(("a",)):
        assert not activity.only_waits
        with activity.waiting(("b",)):
            assert activity.only_waits


def test_a_call_that_must_not_be_cut_off_does_not_only_wait() -> None:
    """N2 (refusal), R9: whatever it waits for, another attempt could not go on from there."""
    activity = Activity()
    with activity.tool_call(repeatable=False), activity.waiting(("a",)):
        assert not activity.only_waits
    with activity.tool_call(repeatable=True), activity.waiting(("a",)):
        assert activity.only_waits


def test_the_last_branch_goes_on_as_the_whole() -> None:
    """N2, W1: at no moment does another part, which waits, seem to be all that there is."""
    activity = Activity()
    with activity.branches(2) as end_outer, activity.waiting(("a",)):
        with activity.branches(2) as end_inner:
            for _ in range(2):
                end_inner()
                assert not activity.only_waits
        assert not activity.only_waits
        end_outer()
        assert activity.only_waits
        end_outer()
        assert activity.only_waits
    assert activity.branch_count == 1


def test_branches_that_are_cut_off_count_no_more() -> None:
    """N2, W1."""
    activity = Activity()
    with activity.branches(3) as end_one:
        end_one()
        assert activity.branch_count == 2
    assert activity.branch_count == 1


def test_it_is_known_what_is_waited_for() -> None:
    """N2: as it is by now, and as often as it is waited for."""
    activity = Activity()
    awaited = {"a", "b"}
    with activity.waiting(awaited), activity.waiting(("c",)):
        with activity.waiting(("c",)):
            assert activity.awaited == {"a", "b", "c"}
        awaited.discard("a")
        assert activity.awaited == {"b", "c"}
    assert activity.awaited == set()
