"""What one process of `musterd serve` does: runs an app until it is told to stop."""

import asyncio
import gc
import os
import signal
import sys
import threading

import structlog

from musterd.app import Musterd, Service
from musterd.cli.lifeline import SECOND_SIGNAL, Lifeline
from musterd.settings import Settings
from musterd.version import VERSION

logger = structlog.get_logger(__name__)

EXIT_PATIENCE_SECONDS = 2.0

GC_FIRST_THRESHOLD = 50_000
"""With thousands of live runs the default of 700 makes the collector the server's main work."""


THREAD_SWITCH_SECONDS = 0.001
"""The store's threads give up the interpreter's lock often, and wait this long to get it back from a busy loop."""


async def serve_until_told(app: Musterd, settings: Settings, lifeline: Lifeline | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then end the process; a second signal ends the grace for running tasks.

    A start that is under way is given up. A worker is also told to stop by the end of the process that started it, and
    its second signal is SIGINT: SIGTERM may come from that process and from a supervisor that signals all processes.
    """
    service = Service(app, settings)
    told, hurried = asyncio.Event(), asyncio.Event()
    starting = asyncio.create_task(service.start(), name="start")

    def stop(number: signal.Signals = signal.SIGTERM) -> None:
        if told.is_set() and (lifeline is None or number is SECOND_SIGNAL):
            hurried.set()
        told.set()
        # A database that does not answer may hold up the start, and after that the end of it.
        starting.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    if lifeline is not None:
        lifeline.on_cut(stop)
    try:
        await starting
    except asyncio.CancelledError:
        if not told.is_set():
            raise
        logger.info("stopped_before_serving")
        _exit_soon()
        return
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(GC_FIRST_THRESHOLD)
    logger.info("serving", version=VERSION, **service.addresses())
    if lifeline is not None:
        lifeline.tell_that_it_serves()
    await told.wait()
    logger.info("stopping", running_tasks=service.running_count)
    await service.stop(hurried)
    logger.info("stopped")
    _exit_soon()


def _exit_soon() -> None:
    """End the process even if a tool or factory still sits in a thread: nothing stops it, and Python would wait."""

    def leave() -> None:
        logger.warning("threads_left_behind")
        os._exit(0)

    timer = threading.Timer(EXIT_PATIENCE_SECONDS, leave)
    timer.daemon = True
    timer.start()
