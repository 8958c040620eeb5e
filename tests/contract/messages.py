"""Messages within a team, and who gets to read them."""

from dataclasses import replace

import pytest
from tests.contract.incarnations import Restart
from tests.contract.steering import apply
from tests.contract.teams import BOB, EVE, entry_of, send, start_team, start_turn
from tests.contract.values import (
    ANNA,
    HARD,
    LATER_OWNER,
    RESEARCHER,
    claim,
    complete,
    fail,
    make_child,
    make_steer,
    read_log,
    start,
)

from musterd.domain.board import TeamMessage
from musterd.domain.event import Event, TaskFailed, TeamMessageSent
from musterd.domain.ids import new_id
from musterd.domain.orders import Inbox, Steer, SteerState
from musterd.domain.ports import Store, Stored
from musterd.domain.task import ComponentRef, Task
from musterd.domain.team_board import SendMessage


async def read_messages(store: Store, task: Task) -> list[tuple[str, SteerState]]:
    """Return what is in the inbox of a task."""
    return [(steer.message, steer.state) for steer in (await store.read_inbox(task.task_id)).steers]


class MessagesContract:
    """What `change_board` promises about messages."""

    async def test_a_message_is_on_the_board_with_the_store_s_time(self, store: Store, committed: list[Event]) -> None:
        """T3, T7."""
        team = await start_team(store)
        before = await store.now()
        record = await send(store, team, "a \x00 bee 🐝", sender="user:anna", receiver="bob")
        (message,) = record.board.messages
        assert before <= message.timestamp <= await store.now()
        assert message == TeamMessage(
            id=message.id, sender="user:anna", receiver="bob", content="a \x00 bee 🐝", timestamp=message.timestamp
        )
        assert committed[-1].payload == TeamMessageSent(message=message)
        assert (await store.get_board(ANNA, team.task_id)).messages == (message,)

    @pytest.mark.parametrize("component", [BOB, EVE], ids=["member", "nested team"])
    async def test_a_running_member_gets_a_message_at_once(self, store: Store, component: ComponentRef) -> None:
        """T6."""
        team = await start_team(store)
        turn = await start_turn(store, team, component)
        record = await send(store, team, "mind the gap", receiver=component.id)
        expected = Steer(
            steer_id=entry_of(team, record, component.id),
            task_id=turn.task_id,
            message="[Message from leader] mind the gap",
            user_id="",
        )
        assert record.delivered == (expected,)
        assert await store.read_inbox(turn.task_id) == Inbox(steers=(expected,), cancel=None)
        assert await store.get_steer(expected.steer_id) == expected

    async def test_the_leader_is_the_team_s_task(self, store: Store) -> None:
        """T6."""
        team = await start_team(store)
        record = await send(store, team, "done", sender="bob", receiver="leader")
        assert [steer.task_id for steer in record.delivered] == [team.task_id]
        assert await read_messages(store, team) == [("[Message from bob] done", SteerState.PENDING)]

    async def test_a_broadcast_goes_to_all_but_its_sender(self, store: Store) -> None:
        """T3, T6."""
        team = await start_team(store)
        bob, eve = await start_turn(store, team, BOB), await start_turn(store, team, EVE)
        from_bob = await send(store, team, "from bob", sender="bob")
        assert [steer.task_id for steer in from_bob.delivered] == [team.task_id, eve.task_id]
        from_anna = await send(store, team, "from anna", sender="user:anna")
        assert [steer.task_id for steer in from_anna.delivered] == [team.task_id, bob.task_id, eve.task_id]
        assert len(await read_messages(store, bob)) == 1

    async def test_messages_wait_for_an_idle_member(self, store: Store, restart: Restart) -> None:
        """T6."""
        team = await start_team(store)
        for number in range(3):
            assert (await send(store, team, f"{number}", receiver="bob")).delivered == ()
        await send(store, team, "for eve", receiver="eve")
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        turn = await start_turn(store, claimed.task)
        assert await read_messages(store, turn) == [
            (f"[Message from leader] {number}", SteerState.PENDING) for number in range(3)
        ]
        later = await start_turn(store, claimed.task)
        assert await read_messages(store, later) == []

    async def test_a_message_that_waits_is_in_no_inbox(self, store: Store) -> None:
        """T6."""
        team = await start_team(store)
        record = await send(store, team, receiver="bob")
        with pytest.raises(LookupError):
            await store.get_steer(entry_of(team, record, "bob"))
        assert await read_messages(store, team) == []

    async def test_a_message_that_a_turn_did_not_read_comes_with_the_next(self, store: Store) -> None:
        """T6."""
        team = await start_team(store)
        first = await start_turn(store, team)
        read, unread = [await send(store, team, text, receiver="bob") for text in ("one", "two")]
        await store.write([replace(fail(first), applied_steer_ids=(entry_of(team, read, "bob"),))])
        assert (await store.get_steer(entry_of(team, unread, "bob"))).state is SteerState.REFUSED
        (ending,) = [payload for payload in await read_log(store, team) if isinstance(payload, TaskFailed)]
        assert ending.unapplied_steer_ids == (entry_of(team, unread, "bob"),)
        second = await start_turn(store, team)
        assert await read_messages(store, second) == [("[Message from leader] two", SteerState.PENDING)]
        await store.write([apply(second, entry_of(team, unread, "bob"))])
        assert (await store.get_steer(entry_of(team, unread, "bob"))).state is SteerState.APPLIED
        await store.write([complete(second)])
        assert await read_messages(store, await start_turn(store, team)) == []

    async def test_the_oldest_of_a_member_s_turns_reads(self, store: Store) -> None:
        """T6: and when it ends without having read, the one that is queued behind it does."""
        team = await start_team(store)
        first = await start_turn(store, team)
        second = await start_turn(store, team, owner=None)
        await send(store, team, receiver="bob")
        assert (await read_messages(store, first), await read_messages(store, second)) == (
            [("[Message from leader] hello", SteerState.PENDING)],
            [],
        )
        await store.write([complete(first)])
        assert await read_messages(store, second) == [("[Message from leader] hello", SteerState.PENDING)]

    async def test_a_turn_that_ends_says_who_gets_what_it_did_not_read(self, store: Store) -> None:
        """T6: in the order in which it came, and once however often the write is repeated."""
        team = await start_team(store)
        first, second, third = [await start_turn(store, team) for _ in range(3)]
        records = [await send(store, team, text, receiver="bob") for text in ("one", "two", "three")]
        entries = [entry_of(team, record, "bob") for record in records]
        ending = replace(complete(first), number=1, applied_steer_ids=(entries[0],))
        (stored,) = await store.write([ending])
        assert isinstance(stored, Stored)
        assert stored.delivered == tuple(
            Steer(steer_id=entry, task_id=second.task_id, message=f"[Message from leader] {text}", user_id="")
            for entry, text in zip(entries[1:], ("two", "three"), strict=True)
        )
        assert stored.delivered == (await store.read_inbox(second.task_id)).steers
        (again,) = await store.write([ending])
        assert again == replace(stored, events=(), delivered=())
        (stored,) = await store.write([replace(fail(second), applied_steer_ids=tuple(entries[1:]))])
        assert isinstance(stored, Stored)
        assert stored.delivered == ()
        assert await read_messages(store, third) == []

    async def test_a_queued_turn_that_is_canceled_says_who_gets_what_waited_for_it(self, store: Store) -> None:
        """R5, T6."""
        team = await start_team(store)
        first = await start_turn(store, team, owner=None)
        second = await start_turn(store, team)
        record = await send(store, team, receiver="bob")
        canceled = await store.request_cancel(ANNA, first.task_id, HARD, None)
        (steer,) = canceled.delivered
        assert (steer.steer_id, steer.task_id) == (entry_of(team, record, "bob"), second.task_id)
        assert (await store.read_inbox(second.task_id)).steers == (steer,)

    async def test_a_new_turn_takes_nothing_from_one_that_runs(self, store: Store) -> None:
        """T6."""
        team = await start_team(store)
        first = await start_turn(store, team)
        await send(store, team, receiver="bob")
        assert await read_messages(store, await start_turn(store, team)) == []
        assert len(await read_messages(store, first)) == 1

    async def test_a_turn_that_is_being_canceled_reads_nothing_more(self, store: Store) -> None:
        """R5, T6."""
        team = await start_team(store)
        turn = await start_turn(store, team)
        await store.request_cancel(ANNA, turn.task_id, HARD, None)
        assert (await send(store, team, receiver="bob")).delivered == ()
        assert len(await read_messages(store, await start_turn(store, team))) == 1

    async def test_a_subagent_with_a_member_s_name_is_no_member(self, store: Store) -> None:
        """T6."""
        team = await start_team(store)
        await start(store, make_child(team, component=replace(RESEARCHER, id="bob")))
        assert (await send(store, team, receiver="bob")).delivered == ()

    async def test_messages_of_another_team_stay_there(self, store: Store) -> None:
        """T7."""
        blue, red = await start_team(store), await start_team(store)
        await send(store, blue, receiver="bob")
        assert await read_messages(store, await start_turn(store, red)) == []
        assert len(await read_messages(store, await start_turn(store, blue))) == 1

    async def test_teams_may_use_the_same_ids(self, store: Store) -> None:
        """T7: an id counts within its team, whoever chose it."""
        message = SendMessage(message_id="m", sender="leader", receiver="bob", content="hi")
        for _ in range(2):
            team = await start_team(store)
            turn = await start_turn(store, team)
            assert len((await store.change_board(team.task_id, message)).delivered) == 1
            assert len(await read_messages(store, turn)) == 1

    async def test_a_message_from_outside_is_not_handed_on(self, store: Store) -> None:
        """R6."""
        team = await start_team(store)
        first = await start_turn(store, team)
        await store.add_steer(ANNA, make_steer(first), None)
        await store.write([complete(first)])
        assert await read_messages(store, await start_turn(store, team)) == []

    async def test_a_message_that_is_sent_again_is_delivered_once(self, store: Store) -> None:
        """R3, T3."""
        team = await start_team(store)
        turn = await start_turn(store, team)
        message = SendMessage(message_id=new_id(), sender="leader", receiver="bob", content="hi")
        first = await store.change_board(team.task_id, message)
        again = await store.change_board(team.task_id, message)
        assert (len(first.delivered), again.delivered) == (1, ())
        assert again.board.messages == first.board.messages
        assert len(await read_messages(store, turn)) == 1
