"""What the tools answer. All of it comes from a task as it stands, so that it is the same wherever tasks run."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic_core import to_json

from musterd.subagents.host import TaskView
from musterd.subagents.status import TaskStatus


def result_text(output: Any) -> str:
    """Return what an agent returned as text: a text as it is, anything else as JSON."""
    return output if isinstance(output, str) else to_json(output, fallback=str).decode()


def not_found(task_id: str) -> str:
    """Return the answer for a task that the run does not see."""
    return f"Error: Task '{task_id}' not found"


def started(view_id: str, subagent: str) -> str:
    """Return the answer to a task that was put into the background."""
    return (
        f"Task started in background.\nTask ID: {view_id}\nSubagent: {subagent}\n"
        f"Use check_task('{view_id}') to check status."
    )


def failed(view: TaskView) -> str:
    """Return the answer to a task in sync mode that did not work. The caller's model decides what to do."""
    how = "was cancelled" if view.status is TaskStatus.CANCELLED else "failed"
    return (
        f"Error: Subagent '{view.subagent}' {how}: {view.error}. You can go on: try again with another description, "
        "use another subagent, or do without."
    )


def checked(view: TaskView) -> str:
    """Return all that is known of a task."""
    lines = [
        f"Task: {view.task_id}",
        f"Subagent: {view.subagent}",
        f"Status: {view.status}",
        f"Description: {view.description}",
    ]
    match view.status:
        case TaskStatus.COMPLETED:
            lines.append(f"Result: {view.result}")
        case TaskStatus.FAILED | TaskStatus.CANCELLED:
            lines.append(f"Error: {view.error}")
        case TaskStatus.WAITING_FOR_ANSWER:
            lines += _questions(view)
        case TaskStatus.RUNNING | TaskStatus.RETRYING | TaskStatus.PENDING:
            if view.running_seconds is not None:
                lines.append(f"Running for: {view.running_seconds:.1f}s")
    if view.status.is_finished and view.usage is not None:
        lines.append(
            f"Usage: {view.usage.requests} requests, {view.usage.input_tokens} input tokens, "
            f"{view.usage.output_tokens} output tokens"
        )
    return "\n".join(lines)


def active(views: Sequence[TaskView]) -> str:
    """Return the list of tasks that have not ended."""
    if not views:
        return "No active background tasks."
    lines = (
        f"- {view.task_id}: {view.subagent} ({view.status}) - {' '.join(view.description.split())}" for view in views
    )
    return "\n".join(("Active background tasks:", *lines))


def waited(task_ids: Sequence[str], views: Sequence[TaskView | None], mode: Literal["all", "any"]) -> str:
    """Return how tasks stand after waiting for them."""
    finished = sum(view is not None and view.status.is_finished for view in views)
    running = sum(view is not None and not view.status.is_finished for view in views)
    still = f", {running} still running" if running else ""
    entries = (
        _waited_for(view) if view is not None else f"- {task_id}: not found"
        for task_id, view in zip(task_ids, views, strict=True)
    )
    return "\n\n".join((f"Task results (mode={mode}, {finished}/{len(task_ids)} finished{still}):", *entries))


def _waited_for(view: TaskView) -> str:
    head = f"- {view.task_id} ({view.subagent})"
    match view.status:
        case TaskStatus.COMPLETED:
            return f"{head}: COMPLETED\n{view.result}"
        case TaskStatus.FAILED | TaskStatus.CANCELLED:
            return f"{head}: {view.status.upper()} - {view.error}"
        case TaskStatus.WAITING_FOR_ANSWER:
            return "\n".join((f"{head}: {view.status}", *_questions(view)))
        case TaskStatus.RUNNING | TaskStatus.RETRYING | TaskStatus.PENDING:
            return f"{head}: {view.status}"


def _questions(view: TaskView) -> list[str]:
    """Return a line for each open question; with its id where there are several to choose from."""
    if len(view.questions) == 1:
        return [f"Question: {view.questions[0].text}"]
    return [f"Question {question.question_id}: {question.text}" for question in view.questions]


def not_waiting(view: TaskView) -> str:
    """Return the answer to an answer that nobody waits for."""
    return f"Error: Task '{view.task_id}' is not waiting for an answer (status: {view.status})"


def no_question(task_id: str, question_id: str) -> str:
    """Return the answer to an answer whose question is not open."""
    return f"Error: Task '{task_id}' has no open question '{question_id}'"


def answered(task_id: str) -> str:
    """Return the answer to an answer that arrived."""
    return f"Answer sent to task '{task_id}'"


NO_LONGER_WAITING = "Error: Could not send answer - subagent is no longer waiting"


def not_accepting(view: TaskView) -> str:
    """Return the answer to a message that cannot arrive."""
    return f"Error: Task '{view.task_id}' is not accepting messages (status: {view.status})."


def delivered(task_id: str) -> str:
    """Return the answer to a message that will arrive."""
    return f"Message delivered to task '{task_id}'; it will be applied on the subagent's next step."


def nothing_to_cancel(view: TaskView) -> str:
    """Return the answer to a wish to cancel what has ended."""
    return (
        f"Task '{view.task_id}' is no longer running (status: {view.status}); nothing to cancel. "
        f"Call check_task('{view.task_id}') for its outcome."
    )


def cancel_requested(task_id: str) -> str:
    """Return the answer to a soft cancellation."""
    return f"Cancellation requested for task '{task_id}'"


def cancelled(task_id: str) -> str:
    """Return the answer to a hard cancellation."""
    return f"Task '{task_id}' has been cancelled"
