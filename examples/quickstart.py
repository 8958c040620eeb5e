"""An agent with one tool, built for who is calling. Serve it: musterd serve examples.quickstart:app"""

from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from musterd import AgentFactory, Musterd, RequestContext


def order_status(order_id: str) -> str:
    """Tell where an order is."""
    return f"order {order_id} is on its way"


def build_support(context: RequestContext) -> Agent:
    """Give callers of the gold tier the name of their contact as well."""
    tier = context.trusted.claims.get("tier", "free")
    instructions = "You help with orders." + (" Your contact is Ada." if tier == "gold" else "")
    return Agent(TestModel(), instructions=instructions, tools=[order_status])


app = Musterd(agents=[AgentFactory("support", build_support, description="Helps with orders.")])
