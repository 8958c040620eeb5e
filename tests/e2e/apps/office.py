"""An app whose manager has others work for it, and makes itself new ones."""

import os
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.toolsets import FunctionToolset

from musterd import Musterd
from musterd.subagents import DynamicAgentRegistry, create_agent_factory_toolset, create_subagent_toolset
from musterd.testing.model import connect_model

LEDGER = Path(os.environ["SHOP_LEDGER"])


def note(what: str) -> str:
    """Write something down, where no crash undoes it."""
    with LEDGER.open("a") as ledger:
        ledger.write(f"{what}\n")
    return "noted"


def notebook(_: Any = None) -> list[FunctionToolset[Any]]:
    """Return what an agent needs to write things down."""
    return [FunctionToolset([note])]


registry = DynamicAgentRegistry()
subagents = create_subagent_toolset(
    [{"name": "clerk", "description": "Does things.", "instructions": "Do it.", "toolsets": notebook()}],
    include_general_purpose=False,
    registry=registry,
)
recruiting = create_agent_factory_toolset(registry, capabilities_map={"notebook": notebook})

app = Musterd(
    agents=[Agent(connect_model(os.environ["SHOP_MODEL_URL"]), name="manager", toolsets=[subagents, recruiting])]
)
