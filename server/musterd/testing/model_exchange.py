"""One request and its answer: plays a turn's steps, and notices a client that goes away meanwhile."""

import asyncio
from typing import NoReturn, assert_never

from starlette.types import Receive, Scope, Send

from musterd.testing.model_gates import Gates
from musterd.testing.model_request import ChatRequest
from musterd.testing.model_server import cut
from musterd.testing.model_turn import (
    CallArguments,
    CallStart,
    Disconnect,
    Failure,
    Finish,
    Gate,
    TextDelta,
    ThinkingDelta,
    Turn,
    UsageReport,
)
from musterd.testing.model_wire import Reply, StreamReply, WholeReply


class Exchange:
    """Answers one request with one turn."""

    def __init__(self, request: ChatRequest, scope: Scope, receive: Receive, send: Send) -> None:
        reply_type = StreamReply if request.stream else WholeReply
        self._reply: Reply = reply_type(request, scope, receive, send)
        self._scope = scope
        self._receive = receive
        self._cut_here = False

    async def play(self, turn: Turn, gates: Gates) -> bool:
        """Send the turn; return False if the client left before its end."""
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(self._answer(turn, gates))
            departure = group.create_task(self._departure())
            await asyncio.wait((answer, departure), return_when=asyncio.FIRST_COMPLETED)
            answered = answer.done()
            answer.cancel()
            departure.cancel()
        return answered or self._cut_here

    async def _answer(self, turn: Turn, gates: Gates) -> None:
        for step in turn.steps:
            match step:
                case TextDelta() | ThinkingDelta() | CallStart() | CallArguments():
                    await self._reply.add(step)
                case Gate():
                    await gates.enter(step.name)
                case Disconnect():
                    await self._cut()
                case Failure():
                    return await self._reply.fail(step)
                case UsageReport() | Finish():
                    pass
                case _:
                    assert_never(step)
        return await self._reply.finish(turn)

    async def _cut(self) -> NoReturn:
        self._cut_here = True
        cut(self._scope)
        # Returning now would be an unfinished response to uvicorn, which logs it: the departure ends this wait.
        await asyncio.Event().wait()
        raise AssertionError

    async def _departure(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
