"""The line between a worker and the process that started it: each learns by it what becomes of the other."""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

SERVES = b"1"

SECOND_SIGNAL = signal.SIGINT
"""What a worker gets in place of a second SIGTERM, which tells it no more than the first."""


class Lifeline:
    """A worker's end of the line. `index` is the worker's number, from 1; `descriptor` is of an inherited socket."""

    def __init__(self, index: int, descriptor: int) -> None:
        self.index = index
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        # What the app starts must not keep the line open.
        self._socket.set_inheritable(False)

    def on_cut(self, callback: Callable[[], None]) -> None:
        """Call back, on this event loop, once the process at the other end is gone."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            loop.remove_reader(self._socket)
            callback()

        # Nothing is ever said from there: there is something to read when it ends.
        loop.add_reader(self._socket, read)

    def tell_that_it_serves(self) -> None:
        """Tell the other end that this worker takes calls."""
        # Where nobody is left to hear it, `on_cut` has its turn.
        with suppress(OSError):
            self._socket.send(SERVES)

    def close(self) -> None:
        """Let go of the line."""
        self._socket.close()
