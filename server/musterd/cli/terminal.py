"""A person at a terminal, who is asked without holding up the event loop."""

import asyncio
import os
import termios
from contextlib import suppress

from rich.console import Console

from musterd.cli.rendering import harmless

MAX_LINE_BYTES = 65_536


class Terminal:
    """Asks for lines. What was typed before a question does not answer it."""

    def __init__(self, console: Console, descriptor: int) -> None:
        self._console = console
        self._descriptor = descriptor

    async def ask(self, prompt: str) -> str:
        """Return the line that is typed, without blanks around it.

        A call that is canceled takes the question back: half a line stays nobody's.
        Raises EOFError when nobody will type any more.
        """
        self._forget_input()
        self._console.out(harmless(prompt, self._console), end=" ")
        loop = asyncio.get_running_loop()
        typed: asyncio.Future[bytes] = loop.create_future()
        loop.add_reader(self._descriptor, self._read, typed)
        try:
            line = await typed
        except asyncio.CancelledError:
            self._console.out("")
            self._forget_input()
            raise
        finally:
            loop.remove_reader(self._descriptor)
        if not line:
            self._console.out("")
            raise EOFError
        return line.decode(errors="replace").strip()

    def tell(self, text: str) -> None:
        """Print a line."""
        self._console.out(harmless(text, self._console))

    def _read(self, typed: "asyncio.Future[bytes]") -> None:
        # A terminal gives a line once it is complete, so this does not wait.
        if typed.done():
            return
        try:
            typed.set_result(os.read(self._descriptor, MAX_LINE_BYTES))
        except OSError:
            typed.set_result(b"")

    def _forget_input(self) -> None:
        with suppress(termios.error):
            termios.tcflush(self._descriptor, termios.TCIFLUSH)


def is_in_foreground(descriptor: int) -> bool:
    """Return whether what is typed at a terminal goes to this process; true where no shell shares it out."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True
