"""Two tools and what becomes of them when the server stops while they run.

`stock` only reads: it is marked as repeatable, and runs again when the task is taken up. `charge` moves money: it is
not marked, so a task that was cut off inside of it ends as failed with TASK_LOST, and nobody is charged twice. A call
of either that had finished is never made again: its stored result is used.
"""

from typing import Any, Protocol

from pydantic_ai import Agent, RunContext, Tool
from pydantic_ai.models.test import TestModel

from musterd import AgentFactory, Musterd, RequestContext


class Shop(Protocol):
    """The systems behind the tools."""

    async def count(self, item: str) -> int:
        """Return how many of an item there are."""
        ...

    async def take_payment(self, user_id: str, cents: int) -> str:
        """Take money from a user, and return the receipt."""
        ...


class CornerShop:
    """A shop that has enough of everything."""

    async def count(self, item: str) -> int:
        """Return how many of an item there are."""
        return 3 + len(item)

    async def take_payment(self, user_id: str, cents: int) -> str:
        """Take money from a user, and return the receipt."""
        return f"receipt for {cents} cents from {user_id}"


def make_app(shop: Shop) -> Musterd:
    """Return the app on a shop. The tools are built once, and shared by all runs."""

    async def stock(item: str) -> int:
        """Tell how many of an item are in stock."""
        return await shop.count(item)

    async def charge(ctx: RunContext[RequestContext], cents: int) -> str:
        """Charge the caller."""
        return await shop.take_payment(ctx.deps.user_id, cents)

    tools: list[Tool[Any]] = [Tool(stock, metadata={"musterd_repeatable": True}), Tool(charge)]

    def build(_: RequestContext) -> Agent[RequestContext, str]:
        return Agent(TestModel(), deps_type=RequestContext, instructions="You sell things.", tools=tools)

    return Musterd(agents=[AgentFactory("cashier", build)])


app = make_app(CornerShop())
