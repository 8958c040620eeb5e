"""Runs an agent within an attempt."""

from typing import Any

from pydantic_ai import AgentRunResult
from pydantic_ai.messages import ModelMessage
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import UsageLimits as AgentUsageLimits

from musterd.domain.task import UsageLimits
from musterd.runtime.attempt.approving import LastDecider, decides_itself
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.components.nodes import AgentNode


async def run_agent(
    node: AgentNode,
    scope: RunScope,
    *,
    toolsets: tuple[AbstractToolset[Any], ...] = (),
    history: list[ModelMessage] | None = None,
) -> AgentRunResult[Any]:
    """Run an agent to its end, with the attempt's journal, orders and limits. An attempt may run several in turn.

    Without a `history` of its own it goes on with that of the session.
    """
    agent, capability = node.agent, scope.capability
    capabilities = [capability, *node.capabilities]
    if decides_itself([agent.root_capability, *node.capabilities]):
        capability.lets_others_decide = True
        capabilities.append(LastDecider(capability.decide_deferred))
    result = await agent.run(
        node.prompt,
        model=node.model if agent.model is None else None,
        deps=node.deps,
        instructions=node.instructions,
        message_history=scope.history if history is None else history,
        usage=scope.recorder.usage,
        usage_limits=node.usage_limits or limits_of(scope.spec.usage_limits),
        cancellation_token=scope.control.token,
        timeout=scope.remaining_seconds,
        toolsets=[*node.toolsets, *toolsets] or None,
        capabilities=capabilities,
        infer_name=False,
    )
    scope.new_messages += result.new_messages()
    scope.conversation = list(result.all_messages())
    return result


def limits_of(limits: UsageLimits) -> AgentUsageLimits:
    """Return a run's limits as pydantic-ai takes them."""
    return AgentUsageLimits(
        request_limit=limits.requests,
        tool_calls_limit=limits.tool_calls,
        input_tokens_limit=limits.input_tokens,
        output_tokens_limit=limits.output_tokens,
        total_tokens_limit=limits.total_tokens,
    )
