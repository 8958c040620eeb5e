"""What a fake model behind HTTP is asked by those in a team."""

import re
from collections.abc import Sequence

from tests.support.actors import Call, content_of_todo

from musterd.testing.model import ChatRequest, Turn, call

LEADER = "leader"
_MEMBER = re.compile(r"You are '(.+?)' in the team")


def who_asks(request: ChatRequest) -> str:
    """Return the name of the member that the request is from, or `leader`."""
    found = _MEMBER.search(request.instructions)
    return LEADER if found is None else found[1]


def turn_of(request: ChatRequest) -> int:
    """Return how many requests its conversation has had, with this one."""
    return 1 + sum(message.role == "assistant" for message in request.messages)


def said_in(request: ChatRequest) -> Sequence[str]:
    """Return what users said, in order."""
    return [message.text for message in request.messages if message.role == "user"]


def todo_in(request: ChatRequest) -> str:
    """Return the text of the item that a member of a team in mode `tasks` works on; nothing for the leader."""
    return "" if who_asks(request) == LEADER else content_of_todo(said_in(request)[0])


def heard_in(request: ChatRequest) -> Sequence[str]:
    """Return the messages of others in the team that the request holds, in order."""
    return [text for text in said_in(request) if text.startswith("[Message from ")]


def calling(*calls: Call) -> Turn:
    """Return a turn that makes calls, all at once, with ids that differ."""
    first, *others = [call(tool, arguments, id=f"call-{index}") for index, (tool, arguments) in enumerate(calls)]
    return sum(others, start=first)
