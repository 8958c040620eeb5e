"""The app of `musterd demo`: an agent and a team that sell rainwear, and the model that speaks for all of them."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import Model

from musterd.app import Musterd
from musterd.domain.context import RequestContext
from musterd.runtime.components.definitions import AgentFactory
from musterd.teams import Team
from musterd.testing.model import ChatRequest, Turn, call, text, usage

STOCK = {"umbrella": 12, "raincoat": 0}


def demo_app(model: Model) -> Musterd:
    """Return an app with an agent, which looks up the stock of a shop, and a team, which gives advice."""

    async def stock(item: str) -> int:
        """Tell how many of an item are in stock."""
        return STOCK.get(item, 0)

    def build(context: RequestContext) -> Agent[RequestContext, str]:
        return Agent(
            model,
            deps_type=RequestContext,
            tools=[stock],
            instructions=f"You sell rainwear to {context.user_id}.",
        )

    forecaster: Agent[Any, str] = Agent(model, name="forecaster", description="Knows the weather.")
    keeper: Agent[Any, str] = Agent(model, name="keeper", description="Knows what is in stock.", tools=[stock])
    return Musterd(
        agents=[AgentFactory("shop", build, description="Answers for a shop that sells rainwear.")],
        teams=[
            Team(
                "advisers",
                [forecaster, keeper],
                model=model,
                mode="coordinate",
                description="Says what to wear.",
            )
        ],
    )


def answer(request: ChatRequest) -> Turn:
    """Play the model, for whoever asks: the leader is known by its tool, a member by what it was asked."""
    if "delegate_to_member" in request.tool_names:
        return _lead(request)
    if request.prompt.startswith("Forecast"):
        return text("Rain from noon on, ", "and a strong wind.") + usage(25, 9)
    return _sell(request)


def _lead(request: ChatRequest) -> Turn:
    """Ask both members at once, then make one advice of what they say."""
    if not request.tool_results:
        forecast = call("delegate_to_member", {"member": "forecaster", "task": "Forecast tomorrow's weather."}, id="a")
        look_up = call("delegate_to_member", {"member": "keeper", "task": "What is there against rain?"}, id="b")
        return text("I ask both of you. ") + forecast + look_up + usage(50, 20)
    return text(f"{request.tool_results['a']} {request.tool_results['b']}", chunks=6) + usage(90, 24)


def _sell(request: ChatRequest) -> Turn:
    """Look up both items, then say what there is."""
    if not request.tool_results:
        calls = call("stock", {"item": "umbrella"}, id="one", chunks=3) + call("stock", {"item": "raincoat"}, id="two")
        return text("Let me look. ") + calls + usage(40, 12)
    umbrellas, raincoats = request.tool_results["one"], request.tool_results["two"]
    said = f"There are {umbrellas} umbrellas, and {raincoats} raincoats: take an umbrella."
    return text(said, chunks=8) + usage(60, 18)
