"""What becomes of log lines that nobody can take."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator

import pytest

PROGRAM = """
import structlog
from musterd.cli.logs import configure_logging
configure_logging("info", "json")
for _ in range(1000):
    structlog.get_logger().error("happened", about="x" * 100)
print("goes on")
"""


@pytest.fixture
def full_disk() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def reader_that_is_gone() -> Iterator[int]:
    reader, descriptor = os.pipe()
    os.close(reader)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("taker", ["full_disk", "reader_that_is_gone"])
async def test_a_log_line_that_cannot_be_written_breaks_nothing(taker: str, request: pytest.FixtureRequest) -> None:
    """R3."""
    descriptor: int = request.getfixturevalue(taker)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, stdout=PIPE, stderr=descriptor)
    said, _ = await process.communicate()
    assert (process.returncode, said) == (0, b"goes on\n")
