"""What tests of several servers may ask for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
from tests.integration.replicas.served import Replicas, serving

from musterd.store.postgres.connection import Database

Serve = Callable[..., AbstractAsyncContextManager[Replicas]]


@pytest.fixture(params=[False, True], ids=["told", "deaf"])
def serve(postgres_database: Database, request: pytest.FixtureRequest) -> Serve:
    """Return what serves an app on three servers: those that tell each other things, and those that must look."""
    return partial(serving, postgres_database, is_deaf=request.param)


@pytest.fixture
def serve_told(postgres_database: Database) -> Serve:
    """Return what serves an app on three servers that tell each other things."""
    return partial(serving, postgres_database)
