"""An agent with one tool, built for who is calling. It needs no key, for TestModel only plays a model.

Serve it: `musterd serve examples.quickstart:app`. Run it: `musterd run agent support "Where is my order?"`.
"""

from pydantic_ai import Agent, Tool
from pydantic_ai.models.test import TestModel

from musterd import AgentFactory, Musterd, RequestContext


def order_status(order_id: str) -> str:
    """Tell where an order is."""
    return f"order {order_id} is on its way"


# Built once, for it costs more than all the rest of a factory.
ORDER_STATUS = Tool(order_status)


def build_support(context: RequestContext) -> Agent:
    """Build the agent for one run. Callers of the gold tier also learn the name of their contact."""
    tier = context.trusted.claims.get("tier", "free")
    instructions = "You help with orders." + (" Your contact is Ada." if tier == "gold" else "")
    # A real model is named here, for example "openai:gpt-5", which reads its key from the environment.
    return Agent(TestModel(), instructions=instructions, tools=[ORDER_STATUS])


app = Musterd(agents=[AgentFactory("support", build_support, description="Helps with orders.")])
