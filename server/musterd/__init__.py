"""Runs AI agents and teams of them for programs in any language, over gRPC.

Register agents and teams with `Musterd`, serve them with `musterd serve module:app`, and test them with
`musterd.testing.serve`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musterd.app import Musterd
    from musterd.domain.context import RequestContext, TrustedContext
    from musterd.runtime.components.definitions import (
        AgentFactory,
        Built,
        FactoryPermissionError,
        FactoryValidationError,
        Prototype,
        TeamFactory,
    )
    from musterd.teams.team import Team

__all__ = [
    "AgentFactory",
    "Built",
    "FactoryPermissionError",
    "FactoryValidationError",
    "Musterd",
    "Prototype",
    "RequestContext",
    "Team",
    "TeamFactory",
    "TrustedContext",
]

_HOMES = {
    "Musterd": "musterd.app",
    "RequestContext": "musterd.domain.context",
    "Team": "musterd.teams.team",
    "TrustedContext": "musterd.domain.context",
}
_DEFAULT_HOME = "musterd.runtime.components.definitions"


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `musterd health` must not wait a second for pydantic-ai."""
    if name not in __all__:
        raise AttributeError(f"module 'musterd' has no attribute {name!r}")
    found = getattr(import_module(_HOMES.get(name, _DEFAULT_HOME)), name)
    globals()[name] = found
    return found
