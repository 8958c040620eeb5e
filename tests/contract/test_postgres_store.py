"""The contract on PostgreSQL."""

import pytest
from tests.contract.incarnations import MakeStore
from tests.contract.store_contract import StoreContract

from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database


@pytest.fixture
def make_store(postgres_database: Database) -> MakeStore:
    return lambda: PostgresStore(postgres_database)


class TestPostgresStore(StoreContract):
    """A schema of its own for each test."""
