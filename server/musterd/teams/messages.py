"""Messages between the agents of a team, in this process's memory."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from musterd.domain.board import TeamMessage
from musterd.domain.ids import new_id

INBOX_MAX_MESSAGES = 1_000
"""How many unread messages an inbox holds, when a bus is not told otherwise."""


class InboxFullError(ValueError):
    """A message for somebody who has too many unread ones. Nobody got it. The text names who."""


@dataclass(slots=True)
class _Inbox:
    messages: deque[TeamMessage] = field(default_factory=deque[TeamMessage])
    has_some: asyncio.Event = field(default_factory=asyncio.Event)


class TeamMessageBus:
    """Inboxes by name. A message stays in its receiver's inbox until the receiver takes it, or is unregistered.

    Raises ValueError when `inbox_max_messages` is less than 1.
    """

    def __init__(self, *, inbox_max_messages: int = INBOX_MAX_MESSAGES) -> None:
        if inbox_max_messages < 1:
            raise ValueError(f"inbox_max_messages must be at least 1, not {inbox_max_messages}")
        self._inbox_max_messages = inbox_max_messages
        self._inboxes: dict[str, _Inbox] = {}

    def register(self, agent_name: str) -> None:
        """Give a name an inbox. One that has an inbox keeps it."""
        self._inboxes.setdefault(agent_name, _Inbox())

    def unregister(self, agent_name: str) -> None:
        """Take a name's inbox away with all that is in it. Does nothing when it has none."""
        inbox = self._inboxes.pop(agent_name, None)
        if inbox is not None:
            # Whoever waits for a message must not wait for one that cannot come any more.
            inbox.messages.clear()
            inbox.has_some.set()

    def registered_agents(self) -> list[str]:
        """Return the names that have an inbox, in the order in which they got it."""
        return list(self._inboxes)

    async def send(self, sender: str, receiver: str, content: str) -> None:
        """Put a message into one inbox. Raises KeyError for an unknown receiver, InboxFullError for a full inbox."""
        self.deliver(_message(sender, receiver, content), [receiver])

    async def broadcast(self, sender: str, content: str) -> None:
        """Put a message into all inboxes but the sender's. Raises InboxFullError, then nobody got it."""
        receivers = [name for name in self._inboxes if name != sender]
        self._check_room(receivers)
        for receiver in receivers:
            self.deliver(_message(sender, receiver, content), [receiver])

    def deliver(self, message: TeamMessage, receivers: Sequence[str]) -> None:
        """Put one message into several inboxes, or into none. Raises as `send`."""
        for receiver in receivers:
            self._inbox(receiver)
        self._check_room(receivers)
        for receiver in receivers:
            inbox = self._inboxes[receiver]
            inbox.messages.append(message)
            inbox.has_some.set()

    async def receive(self, agent_name: str, timeout: float = 0.0) -> list[TeamMessage]:  # noqa: ASYNC109 - the API
        """Take all messages out of an inbox; when there are none, wait `timeout` seconds for the first.

        Raises KeyError for a name that has no inbox.
        """
        inbox = self._inbox(agent_name)
        if not inbox.messages and timeout > 0:
            try:
                async with asyncio.timeout(timeout):
                    await inbox.has_some.wait()
            except TimeoutError:
                return []
        taken = list(inbox.messages)
        inbox.messages.clear()
        inbox.has_some.clear()
        return taken

    def _inbox(self, agent_name: str) -> _Inbox:
        if agent_name not in self._inboxes:
            raise KeyError(f"Agent '{agent_name}' is not registered")
        return self._inboxes[agent_name]

    def _check_room(self, receivers: Sequence[str]) -> None:
        full = [name for name in receivers if len(self._inboxes[name].messages) >= self._inbox_max_messages]
        if full:
            raise InboxFullError(
                f"{', '.join(full)} has {self._inbox_max_messages} unread messages, which is the most there may be"
            )


def _message(sender: str, receiver: str, content: str) -> TeamMessage:
    return TeamMessage(id=new_id(), sender=sender, receiver=receiver, content=content, timestamp=datetime.now(UTC))
