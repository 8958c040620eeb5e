"""The replicas that the tests of a module share: who was killed in one test is started again for the next."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from tests.fault.cluster import Cluster, open_cluster

pytest.register_assert_rewrite("tests.fault.checking")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_cluster(tmp_path_factory: pytest.TempPathFactory, postgres_dsn: str) -> AsyncGenerator[Cluster]:
    """Give three replicas on one database."""
    async with open_cluster(tmp_path_factory.mktemp("plant"), postgres_dsn) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(shared_cluster: Cluster) -> Cluster:
    """Return three replicas that take calls, and run what they are asked to themselves."""
    await shared_cluster.all_serving()
    await shared_cluster.all_settled()
    return shared_cluster
