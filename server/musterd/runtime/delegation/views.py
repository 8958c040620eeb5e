"""How a child's task looks to the agent that started it."""

from datetime import datetime

from pydantic_ai.usage import RunUsage

from musterd.domain.task import Priority, Task, TaskState, Usage
from musterd.subagents.host import OpenQuestion, TaskView
from musterd.subagents.manager import CANCELLED_TEXT
from musterd.subagents.status import TaskPriority, TaskStatus

STATUS_OF = {
    TaskState.SUBMITTED: TaskStatus.PENDING,
    TaskState.AUTH_REQUIRED: TaskStatus.PENDING,
    TaskState.WORKING: TaskStatus.RUNNING,
    TaskState.CANCELING: TaskStatus.RUNNING,
    TaskState.RETRYING: TaskStatus.RETRYING,
    TaskState.INPUT_REQUIRED: TaskStatus.WAITING_FOR_ANSWER,
    TaskState.COMPLETED: TaskStatus.COMPLETED,
    TaskState.FAILED: TaskStatus.FAILED,
    TaskState.REJECTED: TaskStatus.FAILED,
    TaskState.CANCELED: TaskStatus.CANCELLED,
}

PRIORITY_OF = {
    TaskPriority.LOW: Priority.LOW,
    TaskPriority.NORMAL: Priority.NORMAL,
    TaskPriority.HIGH: Priority.HIGH,
    TaskPriority.CRITICAL: Priority.CRITICAL,
}


def view_of(task: Task, now: datetime) -> TaskView:
    """Return a task as its parent sees it."""
    is_completed, is_canceled = task.state is TaskState.COMPLETED, task.state is TaskState.CANCELED
    status = STATUS_OF[task.state]
    if status is TaskStatus.WAITING_FOR_ANSWER and not task.questions:
        # It waits for an approval, which is not the parent's to give.
        status = TaskStatus.RUNNING
    return TaskView(
        task_id=task.task_id,
        subagent=task.component.id,
        description=task.description,
        status=status,
        result=task.output.text if is_completed and task.output is not None else None,
        error=CANCELLED_TEXT if is_canceled else task.error.message if task.error is not None else None,
        questions=tuple(OpenQuestion(question_id=each.question_id, text=each.text) for each in task.questions),
        usage=run_usage_of(task.usage) if task.state.is_terminal else None,
        running_seconds=((task.end_time or now) - task.start_time).total_seconds() if task.start_time else None,
    )


def run_usage_of(usage: Usage) -> RunUsage:
    """Return what a task spent as pydantic-ai counts it."""
    return RunUsage(
        requests=usage.requests,
        tool_calls=usage.tool_calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        details=dict(usage.details),
    )
