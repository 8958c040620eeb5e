"""A store that counts what it is asked."""

from collections import Counter
from typing import Any

from musterd.domain.ports import Store


class CountingStore:
    """Hands everything to a real store, and counts the calls by name."""

    def __init__(self, store: Store) -> None:
        self.calls: Counter[str] = Counter()
        self._store = store

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)

        def count(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return operation(*args, **kwargs)

        return count
