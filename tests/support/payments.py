"""An agent that may pay only with an approval, for tests of those who decide."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage
from pydantic_ai.toolsets import AbstractToolset
from tests.support.turns import Call, Said, all_returned, taking

from musterd_client import Approval, ApprovalRequested, MusterdClient, Run

PAY_THREE: Call = ("pay", {"amount": 3})


def report(messages: list[ModelMessage]) -> str:
    """Say what the tools of the whole conversation gave."""
    return "; ".join(all_returned(messages))


class Till:
    """What was paid, and how to make who pays."""

    def __init__(self) -> None:
        self.paid: list[int] = []

    async def pay(self, amount: int) -> str:
        """Pay an amount."""
        self.paid.append(amount)
        return f"paid {amount}"

    def payer(
        self, *first: Said, name: str = "payer", toolsets: Sequence[AbstractToolset[Any]] = (), **options: Any
    ) -> Agent[Any, str]:
        """Return an agent that takes these turns, or pays three, and then reports what its tools gave."""
        tools = [Tool(self.pay, requires_approval=True), *options.pop("tools", ())]
        return Agent(taking(*(first or (PAY_THREE,)), report), name=name, tools=tools, toolsets=[*toolsets], **options)


async def asked_of(run: Run, *, times: int = 1) -> list[Approval]:
    """Return the approvals that a run asks for, in order, once there are so many."""
    found: list[Approval] = []
    async for event in run:
        if isinstance(event, ApprovalRequested):
            found.append(event.approval)
            if len(found) == times:
                return found
    raise AssertionError("the run ended before it asked")


async def result_of(client: MusterdClient, task_id: str) -> str:
    """Return the text that a task ends with."""
    await client.tasks.wait([task_id])
    task = await client.tasks.status(task_id)
    assert task.output is not None, task
    return task.output.text
