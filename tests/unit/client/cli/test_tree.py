from functools import reduce
from io import StringIO

import pytest
from rich.console import Console
from tests.unit.client.cli.happenings import LEADER, ROOT_ID, USAGE, began, happened, some_task

from musterd.cli.tree import TaskTree, fitting, in_order, new_tree, tree_of
from musterd.cli.tree_events import MAX_TAIL_CHARS, with_event
from musterd.cli.tree_rendering import plain_lines
from musterd_client import (
    Approval,
    ApprovalKind,
    ApprovalRequested,
    ApprovalResolved,
    ApprovalState,
    AuthRenewed,
    AuthRequired,
    CancelRequested,
    Event,
    HookPhase,
    HookStarted,
    ModelRequestCompleted,
    ModelRequestStarted,
    Output,
    Question,
    QuestionAnswered,
    QuestionAsked,
    QuestionExpired,
    RetryScheduled,
    StepPlace,
    StepRestarted,
    StepSkipped,
    StepStarted,
    SubtaskEnded,
    TaskCanceled,
    TaskCompleted,
    TaskError,
    TaskFailed,
    TaskStarted,
    TaskState,
    TextDelta,
    ThinkingDelta,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
    Usage,
    WorkflowStepKind,
)


def after(*events: Event) -> TaskTree:
    return reduce(with_event, events, new_tree(some_task()))


def said(text: str, task_id: str = ROOT_ID) -> TextDelta:
    return happened(TextDelta, task_id, step=1, part_index=0, text=text)


def asked(question_id: str, task_id: str = ROOT_ID) -> QuestionAsked:
    return happened(QuestionAsked, task_id, question_id=question_id, text=f"Which {question_id}?")


def an_approval(approval_id: str, task_id: str = ROOT_ID) -> Approval:
    return Approval(approval_id=approval_id, task_id=task_id, kind=ApprovalKind.TOOL, tool_name="pay")


def wanted(approval_id: str) -> ApprovalRequested:
    return happened(ApprovalRequested, approval=an_approval(approval_id))


def decided(approval_id: str) -> ApprovalResolved:
    return happened(ApprovalResolved, approval_id=approval_id, state=ApprovalState.APPROVED)


def completed(task_id: str = ROOT_ID) -> TaskCompleted:
    return happened(TaskCompleted, task_id, output=Output(text="done"), usage=USAGE)


def shape(tree: TaskTree) -> list[tuple[int, str]]:
    return [(depth, row.name) for depth, row in in_order(tree)]


def test_a_tree_begins_with_its_root_alone() -> None:
    root = after().root
    assert (root.name, root.state, root.usage) == ("advisers", TaskState.SUBMITTED, Usage())


def test_a_finished_task_is_replayed_from_its_beginning() -> None:
    ended = some_task(state=TaskState.COMPLETED, usage=USAGE)
    assert (new_tree(ended).root.state, new_tree(ended).root.usage) == (TaskState.SUBMITTED, Usage())


def test_children_stand_below_their_parents_in_the_order_of_their_start() -> None:
    """T1."""
    tree = after(began("scout"), began("writer"), began("helper", "scout"), began("helper-2", "writer"))

    assert shape(tree) == [(0, "advisers"), (1, "scout"), (2, "helper"), (1, "writer"), (2, "helper#2")]


def test_each_task_of_the_same_member_has_a_name_of_its_own() -> None:
    """T1."""
    tree = after(began("scout"), began("scout-2"), began("scout-3"))

    assert [row.name for _, row in in_order(tree)] == ["advisers", "scout", "scout#2", "scout#3"]


def test_a_child_may_be_called_as_the_root_is() -> None:
    tree = after(began("advisers"))
    assert shape(tree) == [(0, "advisers"), (1, "advisers")]


def test_a_child_waits_until_it_starts() -> None:
    """T1."""
    tree = after(began("scout", description="look around"))
    scout = tree.rows["scout"]
    assert (scout.state, scout.description) == (TaskState.SUBMITTED, "look around")

    tree = with_event(tree, happened(TaskStarted, "scout", parent_task_id=ROOT_ID))
    assert tree.rows["scout"].state is TaskState.WORKING


def test_a_task_that_was_not_announced_is_taken_in_where_it_says() -> None:
    """R3: a watch may begin in the middle."""
    tree = after(said("Hm.", "scout"), began("writer"))
    assert shape(tree) == [(0, "advisers"), (1, "scout"), (1, "writer")]

    tree = with_event(tree, happened(TaskStarted, "scout", parent_task_id="writer"))
    assert shape(tree) == [(0, "advisers"), (1, "writer"), (2, "scout")]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (happened(ModelRequestStarted, step=1), TaskState.WORKING),
        (happened(ThinkingDelta, step=1, part_index=0, text="Hm."), TaskState.WORKING),
        (happened(RetryScheduled, step=1, attempt=1), TaskState.RETRYING),
        (happened(StepRestarted, step=1), TaskState.WORKING),
        (asked("q"), TaskState.INPUT_REQUIRED),
        (wanted("a"), TaskState.INPUT_REQUIRED),
        (happened(StepStarted, place=StepPlace(name="draft"), step_kind=WorkflowStepKind.AGENT), TaskState.WORKING),
        (happened(AuthRequired), TaskState.AUTH_REQUIRED),
        (happened(AuthRenewed), TaskState.SUBMITTED),
        (happened(CancelRequested), TaskState.CANCELING),
        (completed(), TaskState.COMPLETED),
        (happened(TaskCanceled, usage=USAGE), TaskState.CANCELED),
        (
            happened(TaskFailed, error=TaskError(reason="R", message="m"), usage=USAGE, state=TaskState.REJECTED),
            TaskState.REJECTED,
        ),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_an_event_tells_the_state(event: Event, state: TaskState) -> None:
    """R11."""
    assert after(event).root.state is state


def test_a_task_that_is_being_canceled_stays_so_until_its_end() -> None:
    """R5."""
    canceling = after(happened(CancelRequested), said("still"), asked("q"))
    assert canceling.root.state is TaskState.CANCELING
    assert with_event(canceling, happened(TaskCanceled, usage=USAGE)).root.state is TaskState.CANCELED


def test_an_ended_task_stays_as_it_ended() -> None:
    """R11."""
    tree = after(completed(), happened(CancelRequested), said("late"))
    assert tree.root.state is TaskState.COMPLETED


def test_a_task_works_again_when_its_last_question_is_closed() -> None:
    """R7, S7."""
    tree = after(asked("a"), asked("b"), said("meanwhile"))
    assert (tree.root.state, tree.root.question_ids) == (TaskState.INPUT_REQUIRED, ("a", "b"))

    tree = with_event(tree, happened(QuestionAnswered, question_id="a", answer="blue"))
    assert (tree.root.state, tree.root.question_ids) == (TaskState.INPUT_REQUIRED, ("b",))

    tree = with_event(tree, happened(QuestionExpired, question_id="b"))
    assert (tree.root.state, tree.root.question_ids) == (TaskState.WORKING, ())


def test_no_question_outlives_its_task() -> None:
    """S7, N2."""
    assert after(asked("a"), completed()).root.question_ids == ()
    assert after(wanted("a"), completed()).root.approval_ids == ()


def test_a_task_works_again_when_its_last_approval_is_decided() -> None:
    """N2."""
    tree = after(wanted("a"), wanted("b"), asked("q"), decided("a"), happened(QuestionExpired, question_id="q"))
    assert (tree.root.state, tree.root.approval_ids) == (TaskState.INPUT_REQUIRED, ("b",))

    tree = with_event(tree, decided("b"))
    assert (tree.root.state, tree.root.approval_ids) == (TaskState.WORKING, ())


def test_the_parent_tells_the_end_of_a_child() -> None:
    """T1."""
    ended = happened(SubtaskEnded, subtask_id="scout", subtask=LEADER, state=TaskState.FAILED)
    assert after(began("scout"), ended).rows["scout"].state is TaskState.FAILED


def test_the_end_of_a_child_that_was_never_seen_is_no_news() -> None:
    """R3."""
    ended = happened(SubtaskEnded, subtask_id="scout", subtask=LEADER, state=TaskState.FAILED)
    assert shape(after(ended)) == [(0, "advisers")]


def test_usage_grows_with_each_response_and_tool_call_and_is_replaced_at_the_end() -> None:
    """R10."""
    response = happened(ModelRequestCompleted, step=1, usage=USAGE)
    tool = happened(ToolCallCompleted, step=1, tool_call_id="c", tool_name="dig")
    tree = after(response, tool, response)
    assert tree.root.usage == Usage(requests=2, tool_calls=1, input_tokens=60, output_tokens=24)
    assert with_event(tree, completed()).root.usage == USAGE


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([said("One.\nTw"), said("o.")], "Two."),
        ([said("One.\n\n  ")], "One."),
        ([said("Let me"), happened(ToolCallStarted, step=1, tool_call_id="c", tool_name="dig")], "→ dig"),
        (
            [happened(ToolCallFailed, step=1, tool_call_id="c", tool_name="dig", message="too\ndeep"), said("So")],
            "So",
        ),
        ([said("Tw"), happened(StepRestarted, step=1), said("Two")], "Two"),
        ([said("Hm."), asked("q")], "? Which q?"),
        ([said("Hm."), wanted("a")], "? pay"),
        ([happened(StepSkipped, place=StepPlace(name="draft"), reason="dull")], "∅ draft is left out: dull"),
        ([happened(HookStarted, phase=HookPhase.PRE, name="check")], "⚑ pre-hook check"),
        ([happened(TaskFailed, error=TaskError(reason="RUN_TIMEOUT", message="too long"), usage=USAGE)], "RUN_TIMEOUT"),
        ([said("Hm."), happened(TaskCanceled, reason="enough", usage=USAGE)], "enough"),
        ([], ""),
    ],
    ids=[
        "text",
        "blank end",
        "tool",
        "text after a tool",
        "restart",
        "question",
        "approval",
        "step",
        "hook",
        "failure",
        "cancel",
        "nothing",
    ],
)
def test_the_last_line_is_what_the_task_said_or_did_last(events: list[Event], line: str) -> None:
    last = after(*events).root.last_line
    assert last.startswith(line)
    assert bool(last) == bool(line)


def test_of_a_long_text_only_the_end_is_kept() -> None:
    at_the_edge = after(said("a" * MAX_TAIL_CHARS))
    assert at_the_edge.root.tail == "a" * MAX_TAIL_CHARS

    beyond = with_event(at_the_edge, said("b"))
    assert (len(beyond.root.tail), beyond.root.tail[-2:]) == (MAX_TAIL_CHARS, "ab")


def test_the_tree_before_an_event_is_not_changed_by_it() -> None:
    before = after(began("scout"))
    with_event(before, said("Hm.", "scout"))
    assert before.rows["scout"].last_line == ""


def test_a_screen_that_is_too_small_leaves_out_what_ended_first() -> None:
    tree = after(began("a"), began("b"), began("c"), completed("b"))

    assert [row.name for _, row in fitting(tree, 4)[0]] == ["advisers", "a", "b", "c"]
    assert [row.name for _, row in fitting(tree, 3)[0]] == ["advisers", "a", "c"]
    assert [row.name for _, row in fitting(tree, 2)[0]] == ["advisers", "a"]
    assert fitting(tree, 2)[1] == 2
    assert [row.name for _, row in fitting(tree, 0)[0]] == ["advisers"]


def test_a_stored_tree_has_what_is_below_the_task_and_nothing_else() -> None:
    """R4."""
    question = Question(question_id="q", text="Which?")
    approvals = (an_approval("a", "scout"), an_approval("b", "helper"))
    scout = some_task(
        "scout", ROOT_ID, second=2, usage=USAGE, description="look", questions=(question,), approvals=approvals
    )
    others = [
        some_task("helper", "scout", second=3),
        scout,
        some_task("writer", ROOT_ID, second=1),
        some_task(ROOT_ID),
    ]

    assert shape(tree_of(some_task(), others)) == [(0, "advisers"), (1, "writer"), (1, "scout"), (2, "helper")]
    below = tree_of(scout, others)
    assert shape(below) == [(0, "scout"), (1, "helper")]
    assert (below.root.state, below.root.usage) == (TaskState.WORKING, USAGE)
    assert (below.root.question_ids, below.root.approval_ids) == (("q",), ("a",))


def test_lines_are_indented_by_their_depth() -> None:
    """R4."""
    tree = tree_of(some_task(usage=USAGE), [some_task("scout", ROOT_ID, description="look\naround")])

    assert list(plain_lines(in_order(tree), Console(file=StringIO()))) == [
        "advisers  WORKING  1 request, 0 tool calls, 30 tokens in, 12 out  root",
        "  scout  WORKING  0 requests, 0 tool calls, 0 tokens in, 0 out  scout  look around",
    ]
