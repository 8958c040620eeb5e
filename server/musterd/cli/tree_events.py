"""What an event makes of a tree of tasks: a pure fold."""

from collections.abc import Mapping
from dataclasses import replace

from musterd.cli.event_lines import hook_line, tool_line
from musterd.cli.rendering import what_waits
from musterd.cli.tree import Row, TaskTree, new_name, with_row
from musterd.cli.workflow_lines import workflow_line
from musterd_client import (
    ApprovalRequested,
    ApprovalResolved,
    AuthRenewed,
    AuthRequired,
    BranchChosen,
    CancelRequested,
    Event,
    LoggedEvent,
    LoopTurned,
    ModelRequestCompleted,
    ModelRequestStarted,
    QuestionAnswered,
    QuestionAsked,
    QuestionExpired,
    RetryScheduled,
    Steered,
    StepCompleted,
    StepFailed,
    StepRestarted,
    StepSkipped,
    StepStarted,
    SubtaskEnded,
    SubtaskStarted,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
    TaskState,
    TerminalEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallArgumentsDelta,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
)

MAX_TAIL_CHARS = 4_000
"""How much of what a task said last is kept: about as much as a screen shows."""

_STATE_AFTER: Mapping[type[LoggedEvent], TaskState] = {
    QuestionAsked: TaskState.INPUT_REQUIRED,
    ApprovalRequested: TaskState.INPUT_REQUIRED,
    CancelRequested: TaskState.CANCELING,
    AuthRequired: TaskState.AUTH_REQUIRED,
    AuthRenewed: TaskState.SUBMITTED,
    RetryScheduled: TaskState.RETRYING,
    QuestionAnswered: TaskState.WORKING,
    QuestionExpired: TaskState.WORKING,
    ApprovalResolved: TaskState.WORKING,
    TaskStarted: TaskState.WORKING,
    ModelRequestStarted: TaskState.WORKING,
    ModelRequestCompleted: TaskState.WORKING,
    StepRestarted: TaskState.WORKING,
    TextDelta: TaskState.WORKING,
    ThinkingDelta: TaskState.WORKING,
    ToolCallArgumentsDelta: TaskState.WORKING,
    ToolCallStarted: TaskState.WORKING,
    ToolCallCompleted: TaskState.WORKING,
    ToolCallFailed: TaskState.WORKING,
    Steered: TaskState.WORKING,
    StepStarted: TaskState.WORKING,
    StepCompleted: TaskState.WORKING,
    StepFailed: TaskState.WORKING,
    StepSkipped: TaskState.WORKING,
    BranchChosen: TaskState.WORKING,
    LoopTurned: TaskState.WORKING,
}


def with_event(tree: TaskTree, event: Event) -> TaskTree:
    """Returns the tree after an event. A task that it did not know is added to it."""
    row = tree.rows.get(event.task_id) or Row(task_id=event.task_id, name=new_name(tree, event.component))
    tree = with_row(tree, _with_tail(_with_usage(_with_state(row, event), event), event))
    match event:
        case SubtaskStarted():
            return with_row(tree, _started(tree, event))
        case SubtaskEnded() if event.subtask_id in tree.rows:
            return with_row(tree, replace(tree.rows[event.subtask_id], state=event.state))
        case _:
            return tree


def _started(tree: TaskTree, event: SubtaskStarted) -> Row:
    row = tree.rows.get(event.subtask_id) or Row(task_id=event.subtask_id, name=new_name(tree, event.subtask))
    return replace(row, parent_id=event.task_id, description=event.description)


def _with_state(row: Row, event: Event) -> Row:
    if isinstance(event, TaskStarted):
        row = replace(row, parent_id=event.parent_task_id or row.parent_id)
    row = _with_asked(row, event)
    if isinstance(event, TaskCompleted | TaskFailed | TaskCanceled):
        return replace(row, state=_end_state(event))
    state = _STATE_AFTER.get(type(event))
    if state is None or row.state.is_terminal or row.state is TaskState.CANCELING:
        return row
    waits = state is TaskState.WORKING and (row.question_ids or row.approval_ids)
    return replace(row, state=TaskState.INPUT_REQUIRED if waits else state)


def _with_asked(row: Row, event: Event) -> Row:
    match event:
        case QuestionAsked():
            return replace(row, question_ids=(*row.question_ids, event.question_id))
        case QuestionAnswered() | QuestionExpired():
            still_open = tuple(each for each in row.question_ids if each != event.question_id)
            return replace(row, question_ids=still_open)
        case ApprovalRequested():
            return replace(row, approval_ids=(*row.approval_ids, event.approval.approval_id))
        case ApprovalResolved():
            undecided = tuple(each for each in row.approval_ids if each != event.approval_id)
            return replace(row, approval_ids=undecided)
        case TaskCompleted() | TaskFailed() | TaskCanceled():
            return replace(row, question_ids=(), approval_ids=())
        case _:
            return row


def _end_state(event: TerminalEvent) -> TaskState:
    match event:
        case TaskCompleted():
            return TaskState.COMPLETED
        case TaskFailed():
            return event.state
        case TaskCanceled():
            return TaskState.CANCELED


def _with_usage(row: Row, event: Event) -> Row:
    usage = row.usage
    match event:
        case TaskCompleted() | TaskFailed() | TaskCanceled():
            return replace(row, usage=event.usage)
        case ModelRequestCompleted():
            usage = replace(
                usage,
                requests=usage.requests + 1,
                input_tokens=usage.input_tokens + event.usage.input_tokens,
                output_tokens=usage.output_tokens + event.usage.output_tokens,
            )
            return replace(row, usage=usage)
        case ToolCallCompleted():
            return replace(row, usage=replace(usage, tool_calls=usage.tool_calls + 1))
        case _:
            return row


def _with_tail(row: Row, event: Event) -> Row:
    match event:
        case TextDelta():
            return replace(row, tail=(row.tail + event.text)[-MAX_TAIL_CHARS:])
        case StepRestarted():
            return replace(row, tail="")
        case QuestionAsked():
            line = f"? {event.text}"
        case ApprovalRequested():
            line = f"? {what_waits(event.approval)}"
        case TaskFailed():
            line = f"{event.error.reason}: {event.error.message}"
        case TaskCanceled():
            line = event.reason
        case _:
            line = tool_line(event) or workflow_line(event) or hook_line(event)
    if not line:
        return row
    before = row.tail if not row.tail or row.tail.endswith("\n") else f"{row.tail}\n"
    one_line = line.replace("\n", " ")[: MAX_TAIL_CHARS // 2]
    return replace(row, tail=f"{before}{one_line}\n"[-MAX_TAIL_CHARS:])
