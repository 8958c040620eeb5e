"""A research team that grows with the caller's tier: another model, more members, and a reviewer.

The tier is a claim of the verified token, so no request can make it up. `python examples/research_team.py` plays a run
of each tier and needs no key. With a key, serve it: `musterd serve examples.research_team:app`.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from pydantic import BaseModel, Field
from pydantic_ai import Agent
from pydantic_ai.models import Model

from musterd import FactoryPermissionError, Musterd, RequestContext, Team, TeamFactory
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, call, text
from musterd_client import SubtaskStarted


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What a caller of a tier gets."""

    model: str
    members: tuple[str, ...]


TIERS: Mapping[str, Tier] = {
    "free": Tier(model="gpt-5-mini", members=("web",)),
    "gold": Tier(model="gpt-5", members=("web", "papers", "figures", "reviewer")),
}
DUTIES: Mapping[str, str] = {
    "web": "Finds what is new about a topic.",
    "papers": "Knows what was published about a topic.",
    "figures": "Finds numbers, and says where they come from.",
    "reviewer": "Says what is wrong or missing in a draft.",
}
INSTRUCTIONS = "Have the topic researched by all who can. If there is a reviewer, give it your draft before you answer."


class Research(BaseModel):
    """What a run is given beside its message; checked before the factory is called."""

    topic: str = Field(min_length=1, max_length=100)


def make_app(connect: Callable[[str], Model | str]) -> Musterd:
    """Return the app. `connect` gives the model for a name, or its full name for pydantic-ai."""
    models = {name: connect(tier.model) for name, tier in TIERS.items()}

    def build(context: RequestContext) -> Team:
        name = str(context.trusted.claims.get("tier", "free"))
        if name not in TIERS:
            raise FactoryPermissionError(f"the tier {name!r} has no team")
        # A member without a model of its own takes that of its team.
        members = [
            Agent(name=member, description=DUTIES[member], instructions=f"The topic is {context.input.topic}.")
            for member in TIERS[name].members
        ]
        return Team("research", members, model=models[name], mode="coordinate", instructions=INSTRUCTIONS)

    return Musterd(teams=[TeamFactory("research", build, input_schema=Research, description="Researches by tier.")])


app = make_app(lambda name: f"openai:{name}")


def play(request: ChatRequest) -> Turn:
    """Play the model of the leader, who has a tool to delegate, and of the members."""
    if "delegate_to_member" not in request.tool_names:
        return text("The draft is sound." if request.prompt.startswith("Review") else "Umbrellas sell best in autumn.")
    members = re.findall(r"^- (\w+):", request.instructions, re.MULTILINE)
    researchers = [name for name in members if name != "reviewer"]
    if not request.tool_results:
        return sum((ask(name, "Find out what sells.") for name in researchers), text("I ask around. "))
    if "reviewer" in members and "reviewer" not in request.tool_results:
        return ask("reviewer", f"Review this draft: {request.tool_results['web']}")
    return text(" ".join(dict.fromkeys(request.tool_results.values())))


def ask(member: str, task: str) -> Turn:
    """Return a turn that gives a member something to do."""
    return call("delegate_to_member", {"member": member, "task": task}, id=member)


async def main() -> None:
    """Run the team for a caller of each tier, and print who took part."""
    secret = secrets.token_hex(32)
    for tier in TIERS:
        claims = {"sub": "ada", "tier": tier, "scope": "teams:run", "exp": datetime.now(UTC) + timedelta(minutes=5)}
        token = jwt.encode(claims, secret, algorithm="HS256")
        async with (
            FakeModel(play) as model,
            serve(make_app(model.as_model), token=token, auth={"mode": "jwt", "secret": secret}) as client,
            client.run_team("research", "What sells?", factory_input={"topic": "rainwear"}) as run,
        ):
            members = [event.subtask.id async for event in run if isinstance(event, SubtaskStarted)]
            print(f"{tier}: {', '.join(members)}: {(await run.result()).text}")


if __name__ == "__main__":
    asyncio.run(main())
