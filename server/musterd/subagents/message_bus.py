"""Messages to and from subagents in this process's memory."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from musterd.domain.ids import new_id

logger = logging.getLogger(__name__)

MAX_WAITING_MESSAGES = 1_000
"""How many messages may wait for one receiver."""


class MessageType(StrEnum):
    """What a message is about."""

    TASK_ASSIGNED = "task_assigned"
    TASK_UPDATE = "task_update"
    TASK_COMPLETED = "task_completed"
    TASK_FAILED = "task_failed"
    QUESTION = "question"
    ANSWER = "answer"
    CANCEL_REQUEST = "cancel_request"
    CANCEL_FORCED = "cancel_forced"


def utcnow() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """A message from one agent to another. `correlation_id` ties an answer to its question."""

    type: MessageType
    sender: str
    receiver: str
    payload: Any
    task_id: str
    id: str = field(default_factory=new_id)
    timestamp: datetime = field(default_factory=utcnow)
    correlation_id: str | None = None


Handler = Callable[[AgentMessage], Awaitable[None]]
"""Sees each message after it was put into its receiver's queue. What it raises is logged."""


class InMemoryMessageBus:
    """Delivers messages between agents of one event loop.

    A receiver that has not registered is a KeyError; one whose queue is full an asyncio.QueueFull.
    """

    def __init__(self, max_waiting: int = MAX_WAITING_MESSAGES) -> None:
        self._max_waiting = max_waiting
        self._queues: dict[str, asyncio.Queue[AgentMessage]] = {}
        self._handlers: list[Handler] = []
        self._asked: dict[str, asyncio.Future[AgentMessage]] = {}

    def register_agent(self, agent_id: str) -> "asyncio.Queue[AgentMessage]":
        """Open the queue of a receiver and return it. Raises ValueError when it is open."""
        if agent_id in self._queues:
            raise ValueError(f"Agent '{agent_id}' is already registered")
        self._queues[agent_id] = asyncio.Queue(self._max_waiting)
        return self._queues[agent_id]

    def unregister_agent(self, agent_id: str) -> None:
        """Close the queue of a receiver, with what waits in it. Does nothing when it is not open."""
        self._queues.pop(agent_id, None)

    def is_registered(self, agent_id: str) -> bool:
        """Whether messages can be sent to this receiver."""
        return agent_id in self._queues

    def registered_agents(self) -> list[str]:
        """Return all receivers."""
        return list(self._queues)

    def add_handler(self, handler: Handler) -> None:
        """Show all messages from now on to a handler."""
        self._handlers.append(handler)

    def remove_handler(self, handler: Handler) -> None:
        """Show a handler no more messages. Does nothing when it sees none."""
        if handler in self._handlers:
            self._handlers.remove(handler)

    async def send(self, message: AgentMessage) -> None:
        """Put a message into its receiver's queue, and show it to the handlers."""
        self._queue_of(message.receiver).put_nowait(message)
        for handler in tuple(self._handlers):
            try:
                await handler(message)
            except Exception:
                logger.exception("a handler of the message bus failed")

    async def ask(
        self,
        sender: str,
        receiver: str,
        question: str,
        task_id: str,
        timeout: float = 30.0,  # noqa: ASYNC109 - the promised signature
    ) -> AgentMessage:
        """Send a question and return its answer. Raises TimeoutError when none comes within `timeout` seconds."""
        correlation_id = new_id()
        answered = asyncio.get_running_loop().create_future()
        self._asked[correlation_id] = answered
        try:
            await self.send(
                AgentMessage(MessageType.QUESTION, sender, receiver, question, task_id, correlation_id=correlation_id)
            )
            async with asyncio.timeout(timeout):
                return await answered
        finally:
            del self._asked[correlation_id]

    async def answer(self, original: AgentMessage, answer: str) -> None:
        """Answer a question: to whoever waits for it in `ask`, else into its sender's queue."""
        message = AgentMessage(
            MessageType.ANSWER,
            original.receiver,
            original.sender,
            answer,
            original.task_id,
            correlation_id=original.correlation_id,
        )
        waiting = self._asked.get(original.correlation_id or "")
        if waiting is None or waiting.done():
            await self.send(message)
        else:
            waiting.set_result(message)

    async def get_messages(
        self,
        agent_id: str,
        timeout: float = 0.0,  # noqa: ASYNC109 - the promised signature
    ) -> list[AgentMessage]:
        """Return what waits for a receiver; when nothing does, wait up to `timeout` seconds for something."""
        queue = self._queue_of(agent_id)
        messages: list[AgentMessage] = []
        if queue.empty() and timeout > 0:
            try:
                async with asyncio.timeout(timeout):
                    messages.append(await queue.get())
            except TimeoutError:
                return messages
        while not queue.empty():
            messages.append(queue.get_nowait())
        return messages

    def _queue_of(self, agent_id: str) -> "asyncio.Queue[AgentMessage]":
        if agent_id not in self._queues:
            raise KeyError(f"Agent '{agent_id}' is not registered")
        return self._queues[agent_id]


def create_message_bus(backend: str = "memory", **options: Any) -> InMemoryMessageBus:
    """Return a new bus; `memory` is the only backend. Raises ValueError for another one."""
    if backend != "memory":
        raise ValueError(f"Unknown message bus backend: {backend}")
    return InMemoryMessageBus(**options)
