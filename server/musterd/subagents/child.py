"""What a task in memory adds to its agent's run: messages of others, and an end between two steps."""

from __future__ import annotations

from typing import Any

from pydantic_ai import RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.capabilities.abstract import AgentNode, NodeResult
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models import ModelRequestContext
from pydantic_graph import End

from musterd.subagents.manager import TaskManager, address_of
from musterd.subagents.message_bus import AgentMessage, MessageType


class ChildCapability(AbstractCapability[Any]):
    """Puts messages for a task into its next model request, and ends it at a boundary when it is to end."""

    def __init__(self, manager: TaskManager, task_id: str) -> None:
        self._manager = manager
        self._task_id = task_id

    def get_ordering(self) -> CapabilityOrdering:
        """Stand outside of all other capabilities."""
        return CapabilityOrdering(position="outermost")

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Put waiting messages into the request that is about to be made."""
        await self._manager.boundary(self._task_id)
        for message in await self._take():
            ctx.enqueue(message.payload["message"])
        return request_context

    async def before_tool_execute(
        self, ctx: RunContext[Any], *, call: ToolCallPart, tool_def: ToolDefinition, args: dict[str, Any]
    ) -> dict[str, Any]:
        """Begin no tool in a task that is to end."""
        await self._manager.boundary(self._task_id)
        return args

    async def after_node_run(
        self, ctx: RunContext[Any], *, node: AgentNode[Any], result: NodeResult[Any]
    ) -> NodeResult[Any]:
        """Go on instead of ending when a message waits, so that none is lost; else take no more."""
        if not isinstance(result, End):
            return result
        messages = await self._take()
        for message in messages:
            ctx.enqueue(message.payload["message"])
        if not messages:
            self._manager.message_bus.unregister_agent(address_of(self._task_id))
        return result

    async def _take(self) -> list[AgentMessage]:
        bus, address = self._manager.message_bus, address_of(self._task_id)
        if not bus.is_registered(address):
            return []
        return [message for message in await bus.get_messages(address) if message.type is MessageType.TASK_UPDATE]
