"""A store that stops at one of its operations until told to go on."""

import asyncio
from collections import defaultdict
from typing import Any

from tests.support.gated_model import Gate

from musterd.domain.ports import Store


class StoppingStore:
    """Hands everything to a real store; each call of the named operation waits at the gate, before or after it.

    `done` has an event for each other operation, which is set once it was done.
    """

    def __init__(self, store: Store, name: str, gate: Gate, *, after: bool = False) -> None:
        self.done: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._store = store
        self._name = name
        self._gate = gate
        self._after = after

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)

        async def note(*args: Any, **kwargs: Any) -> Any:
            result = await operation(*args, **kwargs)
            self.done[name].set()
            return result

        async def stop(*args: Any, **kwargs: Any) -> Any:
            if not self._after:
                await self._gate.wait()
            result = await operation(*args, **kwargs)
            if self._after:
                await self._gate.wait()
            return result

        return stop if name == self._name else note
