"""What the parts of one attempt share."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pydantic_ai.messages import ModelMessage

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import Task, TaskSpec
from musterd.runtime.admission import Slot
from musterd.runtime.attempt.activity import Activity
from musterd.runtime.attempt.capability import RunCapability
from musterd.runtime.attempt.control import RunControl
from musterd.runtime.attempt.recorder import StepRecorder
from musterd.runtime.feed.log import RunLog


@dataclass(slots=True, kw_only=True)
class RunScope:
    """One attempt of a task. `deadline` is when its time is over, by this process's clock.

    `history` are the messages of its session before it, `history_digest` tells what they were then, `new_messages` are
    those that its agent's runs have added, `conversation` all of them, as the last of these runs left them.
    """

    task: Task
    spec: TaskSpec
    log: RunLog
    recorder: StepRecorder
    control: RunControl
    slot: Slot
    clock: Clock
    deadline: datetime
    activity: Activity = field(default_factory=Activity)
    history: list[ModelMessage] = field(default_factory=list[ModelMessage])
    history_digest: bytes = b""
    new_messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    conversation: list[ModelMessage] = field(default_factory=list[ModelMessage])
    capability: RunCapability = field(init=False)

    def __post_init__(self) -> None:
        self.capability = RunCapability(self.recorder, self.control, self.activity)

    @property
    def remaining_seconds(self) -> float:
        """How much of the run's time is left; at least a moment, in which it finds out that nothing is."""
        return max(0.001, (self.deadline - self.clock.now()).total_seconds())

    @asynccontextmanager
    async def time_limit(self) -> AsyncGenerator[None]:
        """End what runs inside, outside of an agent's loop, when the time is over. Raises MusterdError RUN_TIMEOUT."""
        timer = asyncio.timeout(self.remaining_seconds)
        try:
            async with timer:
                yield
        except TimeoutError as error:
            if timer.expired():
                raise self.timed_out() from error
            raise

    def timed_out(self) -> MusterdError:
        """Return the error of a run whose time is over."""
        return MusterdError(
            reason=Reason.RUN_TIMEOUT, message=f"the run took longer than its {self.spec.run_timeout_seconds:g} s"
        )
