"""The contract on SQLite."""

from pathlib import Path

import pytest
from tests.contract.incarnations import MakeStore
from tests.contract.store_contract import StoreContract

from musterd.store.sqlite import SqliteStore


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    return lambda: SqliteStore(tmp_path / "musterd.db")


class TestSqliteStore(StoreContract):
    """A file on a local disk."""
