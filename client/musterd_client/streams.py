"""What a caller holds of a run or a watch: its events, its task, its text and its result."""

from collections.abc import AsyncIterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from musterd_client.calls import Calls
from musterd_client.errors import MusterdClientError, TaskCanceledError, TaskFailedError
from musterd_client.events import (
    Event,
    ModelRequestCompleted,
    StepRestarted,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TerminalEvent,
    TextDelta,
)
from musterd_client.feed import Feed, RunRequest
from musterd_client.model import Output, Task, TaskResult, TaskState, WatchUntil
from musterd_client.text import TextCollector


class EventStream:
    """The events of one task, and of those below it, in the order of their log.

    Iterate over it once, inside `async with`. A stream that breaks is followed again after its last event; one that
    cannot be mended raises a CallError, and iterating again tries anew. Leaving the `async with` lets go of the stream;
    the task itself goes on.
    """

    def __init__(self, feed: Feed, *, after_sequence: int = 0) -> None:
        self._feed = feed
        self._last_sequence = after_sequence
        self._ended_task: Task | None = None
        self._cancel_reason = ""
        self._collector = TextCollector()

    @property
    def task(self) -> Task:
        """The task as last heard of; a RuntimeError before the stream has begun."""
        task = self._ended_task or self._feed.task
        if task is None:
            raise RuntimeError("the stream has not begun: enter it with `async with`, or await start() first")
        return task

    @property
    def last_sequence(self) -> int:
        """Sequence of the last event handed out: what to watch after, to go on elsewhere."""
        return self._last_sequence

    @property
    def text(self) -> str:
        """The text that the task itself produced in the events handed out, without that of restarted steps."""
        return self._collector.text

    async def start(self) -> Task:
        """Returns the task once the server has answered. Events that came with it are kept.

        Raises:
            CallError: the server refused the call, or could not be reached.
        """
        while self._feed.task is None and not self._feed.ended:
            await self._feed.advance()
        return self.task

    async def result(self) -> TaskResult:
        """Follows the rest of the events, and returns what the task came to.

        Raises:
            TaskFailedError: the task failed or was rejected.
            TaskCanceledError: the task was canceled.
            CallError: the stream broke and could not be mended; the task may still run.
        """
        async for _ in self:
            pass
        task = self.task
        match task.state:
            case TaskState.COMPLETED:
                return TaskResult(task=task, output=task.output or Output(), usage=task.usage)
            case TaskState.FAILED | TaskState.REJECTED:
                raise TaskFailedError(task)
            case TaskState.CANCELED:
                raise TaskCanceledError(task, self._cancel_reason)
            case _:
                raise MusterdClientError(f"the stream was closed while task {task.task_id} was {task.state}")

    async def text_stream(self, *, settled: bool = False) -> AsyncIterator[str]:
        """Yields the text of the task itself, piece by piece as the model produces it.

        A step that is cut off begins again, and what was yielded of it cannot be taken back; `text` is always right.
        With `settled`, the text of a step is held until the step is complete, so that nothing void ever comes out.
        """
        held: list[str] = []
        async for event in self:
            if event.task_id != self.task.task_id:
                continue
            match event:
                case TextDelta() if settled:
                    held.append(event.text)
                case TextDelta():
                    yield event.text
                case StepRestarted():
                    held.clear()
                case ModelRequestCompleted() | TaskCompleted() | TaskFailed() | TaskCanceled() if held:
                    yield "".join(held)
                    held.clear()
                case _:
                    pass

    async def aclose(self) -> None:
        """Lets go of the stream. What came in and was not handed out is dropped; who is iterating is at its end."""
        self._feed.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._feed.pending:
            if self._feed.ended:
                raise StopAsyncIteration
            await self._feed.advance()
        event = self._feed.pending.popleft()
        self._note(event)
        return event

    def _note(self, event: Event) -> None:
        self._last_sequence = event.sequence
        if event.task_id != self.task.task_id:
            return
        self._collector.take(event)
        if isinstance(event, TaskCompleted | TaskFailed | TaskCanceled):
            self._ended_task = _ended(self.task, event)
            self._cancel_reason = event.reason if isinstance(event, TaskCanceled) else ""


class Run(EventStream):
    """A run that this client started. It starts when it is entered, or when its first event is asked for.

    The events of a background run end at once, because its stream ends with the accepted task; `result` follows it.
    """

    def __init__(self, calls: Calls, request: RunRequest) -> None:
        super().__init__(Feed(calls, run=request))
        self.request_id = request.request_id

    async def result(self) -> TaskResult:
        """Follows the rest of the events, of a background run too, and returns what the task came to.

        Raises:
            TaskFailedError: the task failed or was rejected.
            TaskCanceledError: the task was canceled.
            CallError: the run was refused, or the stream broke and could not be mended; the task may still run.
        """
        self._feed.follow_to_the_end()
        return await super().result()


class Watch(EventStream):
    """The events of a task that somebody started, from the log and then live."""

    def __init__(self, calls: Calls, task_id: str, *, after_sequence: int, until: WatchUntil) -> None:
        feed = Feed(calls, task_id=task_id, after_sequence=after_sequence, until=until)
        super().__init__(feed, after_sequence=after_sequence)


def _ended(task: Task, event: TerminalEvent) -> Task:
    """Returns the task as its terminal event leaves it."""
    match event:
        case TaskCompleted():
            state, error = TaskState.COMPLETED, None
        case TaskFailed():
            # A newer server may know more ways to fail.
            state, error = event.state if event.state.is_terminal else TaskState.FAILED, event.error
        case TaskCanceled():
            state, error = TaskState.CANCELED, task.error
    return replace(
        task,
        state=state,
        error=error,
        usage=event.usage,
        output=event.output,
        tree_usage=None,
        questions=(),
        approvals=(),
        end_time=event.create_time,
        last_sequence=max(task.last_sequence, event.sequence),
    )
