"""Workflows: steps in a given order, done by agents, teams, functions and other workflows."""

from musterd.workflows.passing import StepInput, StepOutput
from musterd.workflows.review import Review
from musterd.workflows.steps import Condition, Loop, Parallel, Router, Step, Steps
from musterd.workflows.workflow import Workflow

__all__ = [
    "Condition",
    "Loop",
    "Parallel",
    "Review",
    "Router",
    "Step",
    "StepInput",
    "StepOutput",
    "Steps",
    "Workflow",
]
