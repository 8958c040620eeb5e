"""A terminal of the system, on which the command line runs as a person would run it."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

PROGRAM = (sys.executable, "-c", "from musterd.cli import main; main()")
END_MARK = "\x04"


@dataclass(frozen=True, kw_only=True)
class PseudoTerminal:
    """A terminal of the system: what a program writes at `program_end` can be read at `our_end`."""

    our_end: int
    program_end: int

    async def run(
        self,
        *command: str,
        term: str = "xterm",
        answers: Sequence[tuple[str, str]] = (),
        interrupt_at: str = "",
        stdin: int | None = None,
    ) -> tuple[int | None, str]:
        """Runs a command on the terminal; returns its exit code and all that it wrote.

        Each answer is typed once the command has written what it is to. It is interrupted once it has written
        `interrupt_at`.
        """
        env = {**os.environ, "TERM": term, "COLUMNS": "100", "LINES": "20"}
        end = self.program_end
        process = await asyncio.create_subprocess_exec(*command, stdin=stdin or end, stdout=end, stderr=end, env=env)
        written = ""
        for question, line in answers:
            written += await asyncio.to_thread(self._read_to, question)
            os.write(self.our_end, f"{line}\n".encode())
        if interrupt_at:
            written += await asyncio.to_thread(self._read_to, interrupt_at)
            process.send_signal(signal.SIGINT)
        reading = asyncio.create_task(asyncio.to_thread(self._read_to, END_MARK))
        await process.wait()
        os.write(self.program_end, END_MARK.encode())
        return process.returncode, written + (await reading).removesuffix(END_MARK)

    def _read_to(self, mark: str) -> str:
        written = b""
        while mark.encode() not in written:
            written += os.read(self.our_end, 65_536)
        return written.decode()

    @classmethod
    @contextmanager
    def opened(cls) -> Generator[Self]:
        """Yields a terminal that is closed in the end."""
        our_end, program_end = pty.openpty()
        try:
            yield cls(our_end=our_end, program_end=program_end)
        finally:
            os.close(our_end)
            os.close(program_end)
