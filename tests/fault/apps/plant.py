"""The app that the replicas of the fault tests serve: its tools leave traces that no crash undoes."""

import asyncio
import os
import socket
from pathlib import Path

from pydantic_ai import Agent, Tool

from musterd import Musterd, Prototype, RunOutput, hook
from musterd.testing.model import connect_model

LEDGER = Path(os.environ["PLANT_LEDGER"])
GATES_HOST, _, GATES_PORT = os.environ["PLANT_GATES"].rpartition(":")


def write_down(what: str) -> str:
    """Leave a line where no crash undoes it."""
    with LEDGER.open("a") as ledger:
        ledger.write(f"{what}\n")
    return f"noted {what}"


async def note(what: str) -> str:
    """Write down what was really done."""
    return write_down(what)


async def block(gate: str) -> str:
    """Stop the whole process, its event loop with it, until the test opens a gate."""
    with socket.create_connection((GATES_HOST, int(GATES_PORT))) as connection:
        connection.sendall(f"{gate}\n".encode())
        connection.recv(16)
    return write_down(f"{gate} is over")


@hook(run_in_background=True)
async def audit(run_output: RunOutput) -> None:
    """Wait at the gate that the output names, if there is one; then write the output down."""
    said = str(run_output.content)
    if said.startswith("wait "):
        reader, writer = await asyncio.open_connection(GATES_HOST, int(GATES_PORT))
        writer.write(f"{said}\n".encode())
        await reader.read(16)
        writer.close()
    write_down(f"audited {said}")


MODEL = connect_model(os.environ["PLANT_MODEL_URL"])

worker = Agent(MODEL, name="worker", tools=[Tool(note), Tool(block)])
audited = Prototype(Agent(MODEL, name="audited"), post_hooks=[audit])

app = Musterd(agents=[worker, audited])
