"""Runs workflows on a real server, and tells what happened in words."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from musterd import Musterd, Workflow, WorkflowFactory
from musterd.testing import serve
from musterd_client import (
    BranchChosen,
    Event,
    LoopTurned,
    MusterdClient,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
    Task,
    WatchUntil,
)

StepEvent: TypeAlias = StepStarted | StepCompleted | StepFailed | StepSkipped | BranchChosen | LoopTurned


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run that has ended. `story` is what the workflow itself told of its steps."""

    task: Task
    events: Sequence[Event]

    @property
    def text(self) -> str:
        assert self.task.output is not None, self.task.error
        return self.task.output.text

    @property
    def value(self) -> Any:
        assert self.task.output is not None, self.task.error
        assert self.task.output.json is not None
        return json.loads(self.task.output.json)

    @property
    def error(self) -> tuple[str, str, str]:
        """Reason, cause and message."""
        assert self.task.error is not None
        return self.task.error.reason, self.task.error.cause, self.task.error.message

    @property
    def steps(self) -> Sequence[StepEvent]:
        """The workflow's own events."""
        return [each for each in self.events if isinstance(each, StepEvent) and each.task_id == self.task.task_id]

    @property
    def story(self) -> Sequence[str]:
        return [told(event) for event in self.steps]


async def run(client: MusterdClient, workflow_id: str, message: str = "go", **options: Any) -> Ran:
    """Run a workflow to its end, whatever that is."""
    async with client.run_workflow(workflow_id, message, **options) as started:
        task_id = started.task.task_id
    return await ran(client, task_id)


async def ran(client: MusterdClient, task_id: str) -> Ran:
    """Follow a run to its end."""
    async with client.tasks.watch(task_id, until=WatchUntil.TREE) as watch:
        events = [event async for event in watch]
    return Ran(task=await client.tasks.status(task_id), events=events)


async def run_alone(workflow: Workflow | WorkflowFactory, message: str = "go", **options: Any) -> Ran:
    """Serve a workflow, and run it once."""
    async with serve(Musterd(workflows=[workflow])) as client:
        return await run(
            client, workflow.id if isinstance(workflow, WorkflowFactory) else workflow.name, message, **options
        )


def told(event: StepEvent) -> str:
    """Return an event in words, with the turn of the loop that it is in."""
    turn = f"[{event.place.iteration}]" if event.place.iteration else ""
    name = f"{event.place.name}{turn}"
    match event:
        case StepStarted():
            return f"{name} starts" if event.attempt == 1 else f"{name} starts again"
        case StepCompleted():
            return f"{name} stops all: {event.output}" if event.stops_workflow else f"{name}: {event.output}"
        case StepFailed():
            then = " and is tried again" if event.will_retry else " and is skipped" if event.is_skipped else ""
            return f"{name} fails{then}"
        case StepSkipped():
            return f"{name} is skipped: {event.reason}"
        case BranchChosen():
            return f"{name} chooses {', '.join(event.choices) or 'nothing'}"
        case LoopTurned():
            return f"{name} turned {event.turn}" + (", goes on" if event.will_continue else "")


def counting(name: str, returned: Any = None) -> Callable[[Any], Any]:
    """Return a function that says how often it was called, or what it is given to say."""
    calls: list[Any] = []

    def count(given: Any) -> Any:
        calls.append(given)
        return f"{name} {len(calls)}" if returned is None else returned

    count.__name__ = name
    return count
