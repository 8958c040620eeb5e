"""The app that the end-to-end tests serve. Its variables say where the model is, and what else is around."""

import os
import socket
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, RunContext, Tool

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing.model import connect_model

MODEL = connect_model(os.environ["SHOP_MODEL_URL"])
LEDGER = Path(os.environ["SHOP_LEDGER"])
GATES_HOST, _, GATES_PORT = os.environ["SHOP_GATES"].rpartition(":")
WITHOUT = os.environ.get("SHOP_WITHOUT", "")


def note(line: str) -> None:
    """Write down what was really done, where no crash undoes it."""
    with LEDGER.open("a") as ledger:
        ledger.write(f"{line}\n")


def wait_at(gate: str) -> None:
    """Block until the test opens a gate."""
    with socket.create_connection((GATES_HOST, int(GATES_PORT))) as connection:
        connection.sendall(f"{gate}\n".encode())
        connection.recv(16)


async def order_status(ctx: RunContext[RequestContext], order_id: str) -> str:
    """Tell where an order is."""
    note(f"order_status {order_id} for {ctx.deps.user_id}")
    return f"order {order_id} is on its way"


async def refund(order_id: str) -> str:
    """Pay an order back."""
    note(f"refund {order_id}")
    return f"order {order_id} is paid back"


def charge(order_id: str) -> str:
    """Take money, which must not happen twice."""
    note(f"charge {order_id} begins")
    wait_at("charge")
    note(f"charge {order_id} ends")
    return "charged"


def look_up(order_id: str) -> str:
    """Look something up, which may happen twice."""
    note(f"look_up {order_id} begins")
    wait_at("look_up")
    note(f"look_up {order_id} ends")
    return "found"


TOOLS: dict[str, Tool[Any]] = {
    "order_status": Tool(order_status),
    "refund": Tool(refund),
    "charge": Tool(charge),
    "look_up": Tool(look_up, metadata={"musterd_repeatable": True}),
}


def build_support(context: RequestContext) -> Agent[RequestContext, str]:
    """Build for who is calling: the tier is a claim of the token, what may be paid back a scope."""
    tier = context.trusted.claims.get("tier", "free")
    names = {"order_status", "refund"} if "refunds:write" in context.trusted.scopes else {"order_status"}
    return Agent(
        MODEL,
        deps_type=RequestContext,
        instructions=f"You serve a customer of the {tier} tier.",
        tools=[tool for name, tool in TOOLS.items() if name in names - {WITHOUT}],
    )


clerk = Agent(MODEL, name="clerk", tools=[TOOLS["charge"], TOOLS["look_up"]])

app = Musterd(agents=[AgentFactory("support", build_support), clerk])
