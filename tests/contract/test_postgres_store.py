"""The contract on PostgreSQL, as a role that the policies of tenants bind: they keep nothing from the store."""

import pytest
from tests.contract.incarnations import MakeStore
from tests.contract.store_contract import StoreContract

from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database


@pytest.fixture
def make_store(bound_database: Database) -> MakeStore:
    return lambda: PostgresStore(bound_database)


class TestPostgresStore(StoreContract):
    """A schema of its own for each test."""
