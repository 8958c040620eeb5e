"""Limits of a stored board."""

from pathlib import Path

import pytest
from tests.contract.teams import send, start_team

from musterd.domain import team_board
from musterd.domain.errors import MusterdError, Reason
from musterd.store.sqlite import SqliteStore


async def test_stored_messages_count(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T3, T7: though a new message is stored without the former ones being read."""
    monkeypatch.setattr(team_board, "MAX_MESSAGES", 3)
    store = SqliteStore(path)
    await store.open(lambda _: None)
    team = await start_team(store)
    for _ in range(3):
        record = await send(store, team)
        assert len(record.board.messages) == 1
    with pytest.raises(MusterdError) as refused:
        await send(store, team)
    assert refused.value.reason is Reason.TODO_REFUSED
    assert len((await store.get_board(None, team.task_id)).messages) == 3
    await store.close()
