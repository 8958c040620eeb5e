"""Calls functions of authors: coroutine functions on the event loop, all others in a thread."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

from anyio.to_thread import run_sync


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what an author's function returns. A plain one runs where pydantic-ai runs plain tools.

    What it sets in context variables stays with it. When the caller is canceled, a thread goes on by itself and what
    it returns is lost.
    """
    try:
        return await asyncio.get_running_loop().create_task(_call(function, arguments))
    except asyncio.CancelledError as error:
        if (current := asyncio.current_task()) is None or current.cancelling():
            raise
        # Nobody canceled the caller: it must not end as if somebody had.
        raise RuntimeError("the function was canceled from within") from error


async def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        if is_coroutine_function(function):
            return await function(*arguments)
        made = await run_sync(function, *arguments, abandon_on_cancel=True)
        return await made if inspect.isawaitable(made) else made
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        # A SystemExit would end the server with the runs of all others; any other would leave its run without an end.
        raise RuntimeError(f"the function raised {type(error).__name__}") from error


def is_coroutine_function(function: Any) -> bool:
    """Whether calling a function, a partial of one or a callable object makes a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
