"""Runs AI agents for programs in any language, over gRPC.

Register agents with `Musterd`, serve them with `musterd serve module:app`, test them with `musterd.testing.serve`.
"""

from musterd.app import Musterd
from musterd.domain.context import RequestContext, TrustedContext
from musterd.runtime.agents import AgentFactory, Built, FactoryPermissionError, FactoryValidationError, Prototype

__all__ = [
    "AgentFactory",
    "Built",
    "FactoryPermissionError",
    "FactoryValidationError",
    "Musterd",
    "Prototype",
    "RequestContext",
    "TrustedContext",
]
