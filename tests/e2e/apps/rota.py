"""An app whose agent writes down which process built it."""

import os

from pydantic_ai import Agent
from shop import MODEL, note

from musterd import AgentFactory, Musterd, RequestContext


def build(_: RequestContext) -> Agent:
    """Build an agent for one attempt."""
    note(str(os.getpid()))
    return Agent(MODEL)


app = Musterd(agents=[AgentFactory("support", build)])
