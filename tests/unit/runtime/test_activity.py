"""When an attempt does nothing but wait for what may take days."""

from musterd.runtime.attempt.activity import Activity


def test_an_attempt_that_works_does_not_only_wait() -> None:
    """N2 (refusal): its model is at work, for one."""
    assert not Activity().only_waits


def test_an_attempt_only_waits_when_each_of_its_parts_does() -> None:
    """N2: its calls of tools, or the branches of a workflow."""
    activity = Activity()
    with activity.tool_call(repeatable=True):
        with activity.waiting():
            assert activity.only_waits
            with activity.tool_call(repeatable=True):
                assert not activity.only_waits
                with activity.waiting():
                    assert activity.only_waits
        assert not activity.only_waits
    activity.branch_count = 2
    with activity.waiting():
        assert not activity.only_waits
        with activity.waiting():
            assert activity.only_waits


def test_a_call_that_must_not_be_cut_off_does_not_only_wait() -> None:
    """N2 (refusal), R9: whatever it waits for, another attempt could not go on from there."""
    activity = Activity()
    with activity.tool_call(repeatable=False), activity.waiting():
        assert not activity.only_waits
    with activity.tool_call(repeatable=True), activity.waiting():
        assert activity.only_waits
