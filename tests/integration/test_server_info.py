"""What a client may ask the server about itself."""

from musterd import Musterd
from musterd.testing import serve


async def test_the_server_names_what_it_can_do_and_its_limits() -> None:
    """R1, C8: so that a client need not try."""
    async with serve(Musterd(), runtime={"max_running_tasks": 7}) as client:
        info = await client.server_info()
    assert {"agents", "teams", "workflows", "hooks", "sessions", "approvals", "subagents"} <= set(info.features)
    assert list(info.features) == sorted(info.features)
    assert info.limits.max_running_tasks == 7
