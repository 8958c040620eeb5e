"""What is known of a task in this process's memory."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from pydantic_ai.usage import RunUsage

from musterd.domain.ids import new_id
from musterd.subagents.message_bus import utcnow
from musterd.subagents.status import TaskPriority, TaskStatus


@dataclass(slots=True, kw_only=True)
class PendingQuestion:
    """A question that a task asked. `answered` gets the answer, or None when there will be none.

    `is_told` is true once a wait returned because of it.
    """

    text: str
    answered: "asyncio.Future[str | None]"
    question_id: str = field(default_factory=new_id)
    is_told: bool = False


@dataclass(slots=True)
class TaskHandle:
    """A task from its creation on: how it stands, and what came of it."""

    task_id: str
    subagent_name: str
    description: str
    status: TaskStatus = TaskStatus.PENDING
    priority: TaskPriority = TaskPriority.NORMAL
    created_at: datetime = field(default_factory=utcnow)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    result: str | None = None
    error: str | None = None
    usage: RunUsage | None = None
    retry_count: int = 0
    questions: dict[str, PendingQuestion] = field(default_factory=dict[str, PendingQuestion])

    @property
    def is_finished(self) -> bool:
        """Whether the task has ended."""
        return self.status.is_finished

    @property
    def pending_question(self) -> str | None:
        """The oldest question that waits for its answer."""
        return next((question.text for question in self.questions.values()), None)

    def finish(self, status: TaskStatus, *, result: str | None = None, error: str | None = None) -> bool:
        """End the task. Returns False, and changes nothing, when it has ended already."""
        if self.is_finished:
            return False
        self.status = status
        self.result = result
        self.error = error
        self.completed_at = utcnow()
        return True
