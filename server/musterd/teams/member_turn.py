"""What a member's run has beside its own, when there is no server that sees to it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from pydantic_ai import AgentRunResult, DeferredToolRequests, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.abstract import AgentNode, NodeResult, WrapRunHandler
from pydantic_ai.models import ModelRequestContext
from pydantic_graph import End

from musterd.domain.board import TodoRefused, TodoStatus, message_text
from musterd.subagents.texts import result_text
from musterd.teams.board import TeamBoard, current_board
from musterd.teams.memory_board import MemoryTeamBoard


class AssignedTodo(AbstractCapability[Any]):
    """Completes the todo that a member was given, with the result of its run.

    `board` None is for a member's run under the server: `current_board` then.
    """

    def __init__(self, todo_id: str, member: str, board: TeamBoard | None = None) -> None:
        self._todo_id = todo_id
        self._member = member
        self._board = board

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        """Complete the todo, if it is still there and the member's. What waits for an approval is no result."""
        board = self._board if self._board is not None else current_board.get()
        if board is not None and not isinstance(result.output, DeferredToolRequests):
            await finish_todo(board, self._todo_id, self._member, result_text(result.output))
        return result


class Inbox(AbstractCapability[Any]):
    """Folds messages of the team into a member's next model request, and frees what it leaves undone.

    A message that comes while the run is about to end keeps it going, so that none is lost. `kept` gives the ids of
    todos that the member is to do in another run.
    """

    def __init__(self, board: MemoryTeamBoard, member: str, kept: Callable[[], Collection[str]] = tuple) -> None:
        self._board = board
        self._member = member
        self._kept = kept

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Put what waits into the request that is about to be made."""
        await self._take_messages(ctx)
        return request_context

    async def after_node_run(
        self, ctx: RunContext[Any], *, node: AgentNode[Any], result: NodeResult[Any]
    ) -> NodeResult[Any]:
        """Go on instead of ending when something waits."""
        if isinstance(result, End):
            await self._take_messages(ctx)
        return result

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Free what the member still has in hand when its run ends, however that is."""
        reason = "the member was canceled"
        try:
            result = await handler()
            reason = "the member ended without completing it"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        else:
            return result
        finally:
            await self._release(reason)

    async def _release(self, reason: str) -> None:
        kept = self._kept()
        for todo_id in (await self._board.read()).todos:
            if todo_id not in kept:
                await self._board.release_todos(self._member, reason, todo_id)

    async def _take_messages(self, ctx: RunContext[Any]) -> None:
        if self._member in self._board.message_bus.registered_agents():
            for message in await self._board.message_bus.receive(self._member):
                ctx.enqueue(message_text(message))


async def finish_todo(board: TeamBoard, todo_id: str, member: str, result: str) -> None:
    """Complete a member's todo, unless it is done, or was removed or taken on by another in the meantime."""
    todo = (await board.read()).todos.get(todo_id)
    if todo is None or todo.status is TodoStatus.COMPLETED or todo.assigned_to not in (None, member):
        return
    # Between the look and the change another may take it: then it is no longer this member's to complete.
    with suppress(TodoRefused):
        await board.complete_todo(todo_id, member, result)
