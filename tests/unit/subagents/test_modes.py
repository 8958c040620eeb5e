"""Whether a caller waits for a task."""

from typing import Any

import pytest

from musterd.subagents import SubAgentConfig, TaskCharacteristics, decide_execution_mode
from musterd.subagents.types import Complexity, ExecutionMode

PLAIN = SubAgentConfig(name="a", description="", instructions="")


def known(
    complexity: Complexity = "moderate",
    *,
    context: bool = False,
    urgent: bool = False,
    independent: bool = True,
    unclear: bool = False,
) -> TaskCharacteristics:
    return TaskCharacteristics(
        estimated_complexity=complexity,
        requires_user_context=context,
        is_time_sensitive=urgent,
        can_run_independently=independent,
        may_need_clarification=unclear,
    )


@pytest.mark.parametrize(
    ("characteristics", "mode"),
    [
        (known(), "async"),
        (known("complex", context=True), "sync"),
        (known("complex", unclear=True, urgent=True), "sync"),
        (known("complex", unclear=True), "async"),
        (known("complex"), "async"),
        (known("complex", independent=False), "sync"),
        (known("simple"), "sync"),
        (known(independent=False), "sync"),
    ],
)
def test_the_first_rule_that_applies_decides(characteristics: TaskCharacteristics, mode: ExecutionMode) -> None:
    """S4."""
    assert decide_execution_mode(characteristics, PLAIN) == mode


@pytest.mark.parametrize(
    ("forced", "preferred", "mode"),
    [
        ("sync", "async", "sync"),
        ("async", "sync", "async"),
        ("auto", "sync", "sync"),
        (None, "sync", "sync"),
        ("auto", "auto", "async"),
    ],
)
def test_a_wish_goes_before_the_rules(forced: ExecutionMode | None, preferred: ExecutionMode, mode: str) -> None:
    """S4: what the call says, then what the config says."""
    config = SubAgentConfig(name="a", description="", instructions="", preferred_mode=preferred)
    assert decide_execution_mode(known(), config, forced) == mode


@pytest.mark.parametrize(("forced", "preferred"), [("later", "sync"), ("", "sync"), (None, "background"), ("auto", "")])
def test_a_mode_that_there_is_not_is_refused_with_those_that_there_are(forced: Any, preferred: Any) -> None:
    """S4 (refusal): wherever it is wished, and not taken for another one."""
    config = SubAgentConfig(name="a", description="", instructions="", preferred_mode=preferred)
    with pytest.raises(ValueError, match="must be one of sync, async, auto, it is "):
        decide_execution_mode(known(), config, forced)
