"""What the contract needs of the store that it is run on: the fixture `make_store` of each test module."""

from collections.abc import AsyncIterator

import pytest
from tests.contract.incarnations import Incarnations, MakeStore, Restart

from musterd.domain.event import Event
from musterd.domain.ports import Store

CONTRACT = (
    "lifecycle",
    "creating",
    "children",
    "writing",
    "repeating",
    "budgets",
    "claiming",
    "queueing",
    "canceling",
    "steering",
    "questioning",
    "boards",
    "messages",
    "reading",
    "holding",
    "hooking",
    "approving",
    "deciding",
    "parking",
    "parking_of_parents",
    "approvers",
    "sessions",
    "values",
    "teams",
)

pytest.register_assert_rewrite(*(f"tests.contract.{module}" for module in CONTRACT))


@pytest.fixture
def committed() -> list[Event]:
    """Return the events that the store told its listener, in order."""
    return []


@pytest.fixture
async def incarnations(make_store: MakeStore, committed: list[Event]) -> AsyncIterator[Incarnations]:
    opened = Incarnations(make_store, committed)
    yield opened
    await opened.close()


@pytest.fixture
async def store(incarnations: Incarnations) -> Store:
    """Return an open store."""
    return await incarnations.restart()


@pytest.fixture
def restart(incarnations: Incarnations) -> Restart:
    """Return what closes the store and opens it again, as another owner."""
    return incarnations.restart
