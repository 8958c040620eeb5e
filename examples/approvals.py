"""A clerk who does small things alone, asks before large ones, and leaves the courier to somebody outside.

`python examples/approvals.py` plays it and needs no key. With a key, serve it (`musterd serve examples.approvals:app`),
and `musterd run agent clerk "…"` at a terminal asks you. Stop the server while the clerk waits, and start it again:
what you then decide goes to the same run.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from pydantic_ai import Agent, ApprovalRequired, RunContext, Tool, ToolDefinition
from pydantic_ai.models import Model
from pydantic_ai.toolsets import ExternalToolset

from musterd import Musterd
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, call, text
from musterd_client import Approval, ApprovalRequested, ApprovalResolved, MusterdClient, Resolution

SMALL_CENTS = 2_000

COURIER = ToolDefinition(
    name="book_courier",
    description="Have the goods fetched. Somebody does it by telephone, and says when the courier comes.",
    parameters_json_schema={"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
)


class Shop(Protocol):
    """The systems behind the tools."""

    async def pay_back(self, order: str, cents: int) -> str:
        """Pay money back, and return the receipt."""
        ...

    async def close(self, order: str) -> str:
        """Close an order for good."""
        ...


class CornerShop:
    """A shop that has enough money."""

    async def pay_back(self, order: str, cents: int) -> str:
        """Pay money back, and return the receipt."""
        return f"paid {cents} cents back for {order}"

    async def close(self, order: str) -> str:
        """Close an order for good."""
        return f"closed {order}"


def make_app(model: Model | str, shop: Shop) -> Musterd:
    """Return the app on a shop."""

    async def refund(ctx: RunContext[Any], order: str, cents: int) -> str:
        """Pay money back to the customer."""
        # Nothing may have happened before this: once it is approved, the tool is called anew.
        if cents > SMALL_CENTS and not ctx.tool_call_approved:
            raise ApprovalRequired({"reason": f"a refund of {cents / 100:.2f} for {order}"})
        return await shop.pay_back(order, cents)

    async def close_order(order: str) -> str:
        """Close an order. It cannot be opened again."""
        return await shop.close(order)

    clerk = Agent(
        model,
        name="clerk",
        instructions="You help customers who are not happy with an order.",
        tools=[Tool(refund), Tool(close_order, requires_approval=True)],
        toolsets=[ExternalToolset([COURIER])],
        # A model that is given by name is looked for when it is first used, not when this module is imported.
        defer_model_check=True,
    )
    return Musterd(agents=[clerk])


app = make_app("openai:gpt-5", CornerShop())


async def handle(client: MusterdClient, complaint: str, decide: Callable[[Approval], Resolution]) -> str:
    """Run the clerk, decide about what it asks for as it comes, and return its answer."""
    async with client.run_agent("clerk", complaint) as run:
        async for event in run:
            match event:
                case ApprovalRequested(approval=approval):
                    print(f"{approval.kind}: {approval.tool_name} {approval.arguments_json} {approval.text}".rstrip())
                    await client.tasks.resolve(event.task_id, [decide(approval)])
                case ApprovalResolved():
                    print(f"{event.state}: {event.reason or event.result_json}")
                case _:
                    pass
        return (await run.result()).text


def decide_as_manager(approval: Approval) -> Resolution:
    """Halve refunds, keep orders open, and book the courier."""
    match approval.tool_name:
        case "refund":
            half = {"order": "17", "cents": 4_950}
            return Resolution.approve(approval.approval_id, arguments=half, reason="half of it is fair")
        case "book_courier":
            return Resolution.give({"comes": "on Monday"}, approval.approval_id)
        case _:
            return Resolution.deny(approval.approval_id, reason="keep it open until the goods are back")


def play(request: ChatRequest) -> Turn:
    """Play the model: it wants all three at once, and tells the customer what came of them."""
    if request.tool_results:
        return text(". ".join(request.tool_results[name] for name in ("refund", "close", "courier")))
    cents = 900 if "scratch" in request.prompt else 9_900
    return (
        call("refund", {"order": "17", "cents": cents}, id="refund")
        + call("close_order", {"order": "17"}, id="close")
        + call("book_courier", {"order": "17"}, id="courier")
    )


async def main() -> None:
    """Handle a complaint, with a manager who decides at once."""
    async with FakeModel(play) as model, serve(make_app(model.as_model(), CornerShop())) as client:
        print(await handle(client, "The umbrella of order 17 is broken.", decide_as_manager))


if __name__ == "__main__":
    asyncio.run(main())
