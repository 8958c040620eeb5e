import pytest
from tests.unit.client.cli.happenings import happened

from musterd.cli.display import how_to_answer
from musterd.cli.event_lines import line_for
from musterd_client import (
    Approval,
    ApprovalKind,
    ApprovalRequested,
    ApprovalResolved,
    ApprovalState,
    BranchChosen,
    Event,
    HookCompleted,
    HookFailed,
    HookPhase,
    HookStarted,
    LoopTurned,
    StepCompleted,
    StepFailed,
    StepPlace,
    StepSkipped,
)

DRAFT = StepPlace(name="draft", path=("writing", "draft"))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (happened(ApprovalResolved, approval_id="a", state=ApprovalState.EXPIRED), "! approval a expired"),
        (
            happened(ApprovalResolved, approval_id="a", state=ApprovalState.DENIED, user_id="eve", reason="no"),
            "! approval a denied by eve: no",
        ),
        (happened(HookStarted, phase=HookPhase.PRE, name="check"), "⚑ pre-hook check begins"),
        (happened(HookCompleted, phase=HookPhase.POST, name="audit", attempt=2), "⚑ post-hook audit (attempt 2) done"),
        (
            happened(HookFailed, phase=HookPhase.POST, name="audit", message="no disk", will_retry=True),
            "✗ post-hook audit: no disk, it is tried again",
        ),
        (
            happened(HookFailed, phase=HookPhase.PRE, name="check", message="a name", trigger="PII"),
            "✗ pre-hook check: PII: a name",
        ),
        (happened(StepCompleted, place=DRAFT), "✓ writing/draft"),
        (happened(StepCompleted, place=DRAFT, omitted_bytes=9), "✓ writing/draft: (9 bytes)"),
        (
            happened(StepCompleted, place=DRAFT, output="enough", stops_workflow=True),
            "✓ writing/draft stops the workflow: enough",
        ),
        (
            happened(StepFailed, place=DRAFT, message="no", is_skipped=True),
            "✗ writing/draft: no, it is left out",
        ),
        (happened(StepFailed, place=StepPlace(name="cut"), message="no"), "✗ cut: no"),
        (happened(StepSkipped, place=DRAFT), "∅ writing/draft is left out"),
        (happened(StepSkipped, place=DRAFT, reason="dull"), "∅ writing/draft is left out: dull"),
        (happened(BranchChosen, place=DRAFT, choices=("a", "b")), "⑂ writing/draft chose a, b"),
        (happened(BranchChosen, place=DRAFT), "⑂ writing/draft chose nothing"),
        (happened(LoopTurned, place=DRAFT, turn=2, will_continue=True), "⟳ writing/draft ended turn 2, and goes on"),
        (happened(LoopTurned, place=DRAFT, turn=3), "⟳ writing/draft ended turn 3"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
@pytest.mark.parametrize("own", [True, False], ids=["own", "of a child"])
def test_an_event_has_its_line(event: Event, line: str, own: bool) -> None:
    """H3, N2, W2."""
    assert line_for(event, own=own) == line


@pytest.mark.parametrize(
    ("kind", "decisions"),
    [
        (ApprovalKind.TOOL, "--approve or --deny"),
        (ApprovalKind.EXTERNAL, "--result JSON or --deny"),
        (ApprovalKind.REVIEW, "--approve or --deny"),
    ],
)
def test_an_approval_says_how_it_is_decided(kind: ApprovalKind, decisions: str) -> None:
    """N2."""
    approval = Approval(
        approval_id="a", task_id="scout", kind=kind, tool_name="pay", arguments_json="{}", text="3\neuros"
    )
    assert how_to_answer(happened(ApprovalRequested, approval=approval), " --tls system") == (
        f"? pay {{}}: 3 euros\n"
        f"  approval a, decide with {decisions}: musterd tasks resolve scout --approval a --tls system"
    )
