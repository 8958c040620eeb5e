"""Questions of a running child: stored, so that they and their answers survive a crash."""

import asyncio
from contextlib import suppress
from typing import Any

from pydantic_ai import RunContext

from musterd.domain.ids import derived_id
from musterd.domain.ports import AskedQuestion, Lost, QuestionState
from musterd.runtime.attempt.scope import RunScope
from musterd.runtime.components.nodes import Asking
from musterd.runtime.delegation.children import Children
from musterd.runtime.feed.log import AttemptLost


class Questions:
    """Asks what a child wants to know, and waits for the answer from whoever gives it first."""

    def __init__(self, scope: RunScope, asking: Asking, children: Children) -> None:
        self._scope = scope
        self._asking = asking
        self._children = children

    async def ask(self, ctx: RunContext[Any], question: str) -> str | None:
        """Return the answer; None when nobody gave one in time, or the child is told to stop.

        A call that is repeated after a crash finds its question, and the answer if there is one by then.
        """
        lineage = self._scope.spec.lineage
        if self._asking.ask_user is not None and lineage is not None and not lineage.runs_in_background:
            return str(await self._asking.ask_user(question))
        scope, children = self._scope, self._children
        task = scope.task
        question_id = derived_id(task.task_id, scope.recorder.step, ctx.tool_call_id or "", "question")
        asked = _held(
            await children.patiently(
                lambda: children.store.ask(
                    task.task_id,
                    task.attempt,
                    question_id=question_id,
                    text=question,
                    seconds=self._asking.timeout_seconds,
                )
            )
        )
        if asked.state is QuestionState.OPEN:
            # One that was asked before a crash needs input again, and nothing new is in the log.
            children.changes.wake(task.task_id)
            async with children.slots.waiting(scope.slot):
                asked = await self._wait(asked)
        return asked.answer if asked.state is QuestionState.ANSWERED else None

    async def _wait(self, asked: AskedQuestion) -> AskedQuestion:
        question, task, control = asked.question, self._scope.task, self._scope.control
        children, store = self._children, self._children.store
        seconds = (question.expire_time - await children.patiently(store.now)).total_seconds()
        with (
            children.changes.watch([task.task_id], for_others=True) as waiter,
            control.waking(waiter),
            suppress(TimeoutError),
        ):
            async with asyncio.timeout(max(0.0, seconds)):
                while asked.state is QuestionState.OPEN and control.order is None:
                    asked = await children.patiently(lambda: store.get_question(question.question_id))
                    if asked.state is QuestionState.OPEN and control.order is None:
                        await waiter.wait()
                        waiter.clear()
        if asked.state is not QuestionState.OPEN:
            return asked
        return _held(
            await children.patiently(lambda: store.expire_question(task.task_id, task.attempt, question.question_id))
        )


def _held(asked: AskedQuestion | Lost) -> AskedQuestion:
    if isinstance(asked, Lost):
        raise AttemptLost
    return asked
