"""Runs AI agents, teams and workflows of them for programs in any language, over gRPC.

Register agents, teams and workflows with `Musterd`, serve them with `musterd serve module:app`, and test them with
`musterd.testing.serve`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musterd.app import Musterd
    from musterd.domain.context import RequestContext, TrustedContext
    from musterd.hooks import InputCheckError, OutputCheckError, RunInput, RunOutput, hook
    from musterd.runtime.components.definitions import (
        AgentFactory,
        Built,
        FactoryPermissionError,
        FactoryValidationError,
        Prototype,
        TeamFactory,
        WorkflowFactory,
    )
    from musterd.teams.team import Team
    from musterd.workflows.passing import StepInput, StepOutput
    from musterd.workflows.review import Review
    from musterd.workflows.steps import Condition, Loop, Parallel, Router, Step, Steps
    from musterd.workflows.workflow import Workflow

__all__ = [
    "AgentFactory",
    "Built",
    "Condition",
    "FactoryPermissionError",
    "FactoryValidationError",
    "InputCheckError",
    "Loop",
    "Musterd",
    "OutputCheckError",
    "Parallel",
    "Prototype",
    "RequestContext",
    "Review",
    "Router",
    "RunInput",
    "RunOutput",
    "Step",
    "StepInput",
    "StepOutput",
    "Steps",
    "Team",
    "TeamFactory",
    "TrustedContext",
    "Workflow",
    "WorkflowFactory",
    "hook",
]

_HOMES = {
    "Condition": "musterd.workflows.steps",
    "InputCheckError": "musterd.hooks",
    "Loop": "musterd.workflows.steps",
    "Musterd": "musterd.app",
    "OutputCheckError": "musterd.hooks",
    "Parallel": "musterd.workflows.steps",
    "RequestContext": "musterd.domain.context",
    "Review": "musterd.workflows.review",
    "Router": "musterd.workflows.steps",
    "RunInput": "musterd.hooks",
    "RunOutput": "musterd.hooks",
    "Step": "musterd.workflows.steps",
    "StepInput": "musterd.workflows.passing",
    "StepOutput": "musterd.workflows.passing",
    "Steps": "musterd.workflows.steps",
    "Team": "musterd.teams.team",
    "TrustedContext": "musterd.domain.context",
    "Workflow": "musterd.workflows.workflow",
    "hook": "musterd.hooks",
}
_DEFAULT_HOME = "musterd.runtime.components.definitions"


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `musterd health` must not wait a second for pydantic-ai."""
    if name not in __all__:
        raise AttributeError(f"module 'musterd' has no attribute {name!r}")
    found = getattr(import_module(_HOMES.get(name, _DEFAULT_HOME)), name)
    globals()[name] = found
    return found
