from collections.abc import Iterator

import pytest
from tests.unit.auth.hand_clock import HandClock
from tests.unit.auth.jwks_server import JwksServer


@pytest.fixture
async def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def jwks_server() -> Iterator[JwksServer]:
    server = JwksServer()
    yield server
    server.close()
