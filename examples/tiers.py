"""What the caller's tier decides: which model answers, and whether a second agent reviews the answer.

The tier is a claim of the verified token, so no request can make it up. The models are TestModels, which need no key;
real ones are named by strings such as "openai:gpt-5".
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from pydantic_ai import Agent, RunContext, Tool
from pydantic_ai.models import Model
from pydantic_ai.models.test import TestModel

from musterd import AgentFactory, FactoryPermissionError, Musterd, RequestContext

MODELS: Mapping[str, Model] = {
    "free": TestModel(model_name="small", custom_output_text="A short answer."),
    "gold": TestModel(model_name="large", custom_output_text="A thorough answer."),
}
REVIEWER = Agent(
    TestModel(model_name="reviewer", custom_output_text="The draft is sound."),
    name="reviewer",
    instructions="Say what is wrong with the draft.",
)


class Question(BaseModel):
    """What a run is given beside its message; checked before the factory is called."""

    topic: str = Field(min_length=1, max_length=100)


async def review(ctx: RunContext[RequestContext], draft: str) -> str:
    """Have a draft reviewed before it is sent."""
    result = await REVIEWER.run(draft, usage=ctx.usage)
    return result.output


# Reading twice does no harm, so a run that was cut off in a review may review again.
REVIEW: Tool[Any] = Tool(review, metadata={"musterd_repeatable": True})


def build_advisor(context: RequestContext) -> Agent[RequestContext, str]:
    """Build the agent that the caller's tier pays for. Refuses tiers that it does not know."""
    tier = str(context.trusted.claims.get("tier", "free"))
    if tier not in MODELS:
        raise FactoryPermissionError(f"the tier {tier!r} has no agent")
    return Agent(
        MODELS[tier],
        deps_type=RequestContext,
        instructions=f"You advise {context.user_id} on {context.input.topic}.",
        tools=[REVIEW] if tier == "gold" else [],
    )


app = Musterd(agents=[AgentFactory("advisor", build_advisor, input_schema=Question, description="Advises by tier.")])
