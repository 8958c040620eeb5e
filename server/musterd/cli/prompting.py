"""Asks the person at the terminal for what a run waits for, while the run goes on."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from musterd.cli.dialogs import ask_for_answer, ask_for_resolution
from musterd.cli.display import Display
from musterd.cli.rendering import stderr, stdout
from musterd.cli.terminal import Terminal, is_in_foreground
from musterd_client import (
    ApprovalRequested,
    ApprovalResolved,
    CallError,
    Event,
    MusterdClient,
    QuestionAnswered,
    QuestionAsked,
    QuestionExpired,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
)


@dataclass(slots=True)
class _Asked:
    """What waits. `dialog` is the talk about it while there is one; `is_decided` is true once that is over."""

    event: ApprovalRequested | QuestionAsked
    dialog: asyncio.Task[None] | None = None
    is_decided: bool = False


class Prompter:
    """Asks for one decision after the other, in the order in which they came up, until it is left.

    A question that is answered elsewhere, or whose task ends, is taken back. While it asks, the display is paused.
    """

    def __init__(self, client: MusterdClient, terminal: Terminal, display: Display) -> None:
        self._client = client
        self._terminal = terminal
        self._display = display
        self._open: dict[str, _Asked] = {}
        self._came_up = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._asking = asyncio.create_task(self._ask_for_all(), name="prompter")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    def take(self, event: Event) -> None:
        """Takes in an event of the run: it may ask for something, or say that nobody needs to be asked any more."""
        match event:
            case ApprovalRequested():
                self._open[event.approval.approval_id] = _Asked(event)
                self._came_up.set()
            case QuestionAsked():
                self._open[event.question_id] = _Asked(event)
                self._came_up.set()
            case ApprovalResolved():
                self._take_back(event.approval_id)
            case QuestionAnswered() | QuestionExpired():
                self._take_back(event.question_id)
            case TaskCompleted() | TaskFailed() | TaskCanceled():
                for asked_id in [key for key, asked in self._open.items() if asked.event.task_id == event.task_id]:
                    self._take_back(asked_id)
            case _:
                pass

    def _take_back(self, asked_id: str) -> None:
        asked = self._open.pop(asked_id, None)
        if asked is not None and asked.dialog is not None and not asked.is_decided:
            asked.dialog.cancel()

    async def _ask_for_all(self) -> None:
        while True:
            while not self._open:
                self._came_up.clear()
                await self._came_up.wait()
            asked_id, asked = next(iter(self._open.items()))
            self._display.pause()
            try:
                await self._ask(asked)
            except EOFError:
                return
            finally:
                self._open.pop(asked_id, None)
                self._display.resume()

    async def _ask(self, asked: _Asked) -> None:
        asked.dialog = asyncio.create_task(self._talk(asked), name="dialog")
        try:
            await asked.dialog
        except asyncio.CancelledError:
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
            self._terminal.tell("That has been decided elsewhere, or is not needed any more.")
        except CallError as error:
            self._terminal.tell(f"The server did not take it: {error}")

    async def _talk(self, asked: _Asked) -> None:
        event = asked.event
        if isinstance(event, ApprovalRequested):
            resolution = await ask_for_resolution(self._terminal, event.approval)
            asked.is_decided = True
            if resolution is not None:
                await self._client.tasks.resolve(event.task_id, [resolution])
        else:
            answer = await ask_for_answer(self._terminal, event.text)
            asked.is_decided = True
            if answer:
                await self._client.tasks.answer(event.task_id, answer, event.question_id)


def prompter_for(client: MusterdClient, display: Display) -> Prompter | None:
    """Returns what asks the person at the terminal; None when there is nobody to be asked."""
    descriptor = _input_descriptor()
    if descriptor is None or not stdout().file.isatty() or not is_in_foreground(descriptor):
        return None
    console = stderr() if stderr().file.isatty() else stdout()
    return Prompter(client, Terminal(console, descriptor), display)


def _input_descriptor() -> int | None:
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return None
    return sys.stdin.fileno()
