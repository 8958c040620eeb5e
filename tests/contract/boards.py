"""What is stored of a team's board."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.incarnations import Restart
from tests.contract.teams import MEMBERS, OPEN, fold, send, start_team
from tests.contract.values import (
    ADMIN,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    HARD,
    PER_STORE,
    complete,
    make_key,
    read_log,
    start,
)

from musterd.domain.board import BoardMember, Todo, TodoStatus
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, TeamMessageSent, TodoChange, TodoChanged
from musterd.domain.ids import new_id
from musterd.domain.ports import Store
from musterd.domain.team_board import (
    AddTodo,
    Board,
    BoardCommand,
    ClaimTodo,
    CompleteTodo,
    OpenBoard,
    ReleaseTodos,
    RemoveTodo,
    SendMessage,
)

TODO_IDS = st.sampled_from(["a", "b", "c", "d"])
NAMES = st.sampled_from(["bob", "eve", "leader"])
COMMANDS: st.SearchStrategy[BoardCommand] = st.one_of(
    st.builds(AddTodo, todo_id=TODO_IDS, content=st.just("dig"), blocked_by=st.lists(TODO_IDS, max_size=2).map(tuple)),
    st.builds(ClaimTodo, todo_id=TODO_IDS, member=NAMES),
    st.builds(CompleteTodo, todo_id=TODO_IDS, member=st.none() | NAMES, result=st.just("dug")),
    st.builds(ReleaseTodos, member=NAMES, reason=st.just("lost"), todo_id=st.none() | TODO_IDS),
    st.builds(RemoveTodo, todo_id=TODO_IDS, actor=NAMES),
    st.builds(SendMessage, message_id=st.uuids().map(str), sender=NAMES, receiver=NAMES, content=st.just("hi")),
)


async def refuse(store: Store, team_task_id: str, command: BoardCommand) -> MusterdError:
    """Apply a command that is refused, and return why."""
    with pytest.raises(MusterdError) as refused:
        await store.change_board(team_task_id, command)
    return refused.value


class BoardsContract:
    """What `change_board` and `get_board` promise about the todo list, and about who may touch it."""

    async def test_a_new_board_is_empty_and_tells_nothing(self, store: Store, committed: list[Event]) -> None:
        """T7."""
        team = await start(store)
        board = Board(team="blue", members=MEMBERS)
        assert (await store.change_board(team.task_id, OPEN)).board == board
        assert (await store.change_board(team.task_id, OPEN)).board == board
        assert await store.get_board(ANNA, team.task_id) == board
        assert await store.get_board(None, team.task_id) == board
        assert len(committed) == 1

    async def test_another_team_takes_over_what_is_on_the_board(self, store: Store) -> None:
        """T5."""
        team = await start_team(store)
        await store.change_board(team.task_id, AddTodo(todo_id="a", content="dig"))
        members = (BoardMember(name="ida"),)
        await store.change_board(team.task_id, OpenBoard(team="red", members=members))
        board = await store.get_board(None, team.task_id)
        assert (board.team, board.members, list(board.todos)) == ("red", members, ["a"])

    async def test_items_go_through_their_life(self, store: Store, committed: list[Event], restart: Restart) -> None:
        """T2, T7."""
        team = await start_team(store)
        for command in (
            AddTodo(todo_id="a", content="dig", created_by="leader"),
            AddTodo(todo_id="b", content="fill", blocked_by=("a",)),
            ClaimTodo(todo_id="a", member="bob"),
            CompleteTodo(todo_id="a", member="bob", result="dug"),
        ):
            assert (await store.change_board(team.task_id, command)).is_done
        changes = [event.payload for event in committed[1:]]
        assert {event.task_id for event in committed} == {team.task_id}
        assert [change.change for change in changes if isinstance(change, TodoChanged)] == [
            TodoChange.ADDED,
            TodoChange.ADDED,
            TodoChange.CLAIMED,
            TodoChange.COMPLETED,
        ]
        board = await (await restart()).get_board(ANNA, team.task_id)
        assert list(board.todos.values()) == [
            Todo(
                id="a",
                content="dig",
                status=TodoStatus.COMPLETED,
                assigned_to="bob",
                created_by="leader",
                attempts=1,
                result="dug",
            ),
            Todo(id="b", content="fill", blocked_by=("a",)),
        ]

    async def test_a_command_that_was_applied_changes_nothing(self, store: Store, committed: list[Event]) -> None:
        """T2, R3: a tool call that is repeated after a crash does its work once."""
        team = await start_team(store)
        for command in (
            AddTodo(todo_id="a", content="dig"),
            ClaimTodo(todo_id="a", member="bob"),
            SendMessage(message_id="m", sender="bob", receiver="", content="hi"),
            CompleteTodo(todo_id="a", member="bob", result="dug"),
        ):
            first = await store.change_board(team.task_id, command)
            told = len(committed)
            again = await store.change_board(team.task_id, command)
            assert (again.board, again.is_done) == (first.board, first.is_done)
            assert len(committed) == told

    async def test_one_of_many_claims_at_once_wins(self, store: Store, committed: list[Event]) -> None:
        """T2."""
        team = await start_team(store)
        await store.change_board(team.task_id, AddTodo(todo_id="a", content="dig"))
        claims = [ClaimTodo(todo_id="a", member=f"member-{number}") for number in range(20)]
        records = await asyncio.gather(*[store.change_board(team.task_id, claim) for claim in claims])
        assert sum(record.is_done for record in records) == 1
        assert len(committed) == 3

    async def test_what_the_rules_refuse_is_not_stored(self, store: Store, committed: list[Event]) -> None:
        """T2, T7."""
        team = await start_team(store)
        for command, reason in (
            (AddTodo(todo_id="a", content=" "), Reason.TODO_REFUSED),
            (AddTodo(todo_id="a", content="dig", blocked_by=("z",)), Reason.TODO_REFUSED),
            (CompleteTodo(todo_id="z", member=None), Reason.TODO_REFUSED),
            (SendMessage(message_id="m", sender="bob", receiver="", content=""), Reason.TODO_REFUSED),
            (SendMessage(message_id="m", sender="bob", receiver="zoe", content="hi"), Reason.MEMBER_NOT_FOUND),
        ):
            refusal = await refuse(store, team.task_id, command)
            assert refusal.reason is reason
            assert refusal.metadata == {"task_id": team.task_id}
        assert await store.get_board(None, team.task_id) == Board(team="blue", members=MEMBERS)
        assert len(committed) == 1

    async def test_a_task_without_a_board_has_none(self, store: Store) -> None:
        """T7."""
        task = await start(store)
        assert (await refuse(store, task.task_id, AddTodo(todo_id="a", content="dig"))).reason is Reason.BOARD_NOT_FOUND
        with pytest.raises(MusterdError) as refused:
            await store.get_board(ANNA, task.task_id)
        assert refused.value.reason is Reason.BOARD_NOT_FOUND

    async def test_a_missing_task_is_not_found(self, store: Store) -> None:
        """T7."""
        assert (await refuse(store, new_id(), OPEN)).reason is Reason.TASK_NOT_FOUND
        with pytest.raises(MusterdError) as refused:
            await store.get_board(None, new_id())
        assert refused.value.reason is Reason.TASK_NOT_FOUND

    async def test_only_who_sees_a_team_sees_its_board(self, store: Store) -> None:
        """I5, T7."""
        team = await start_team(store)
        add = AddTodo(todo_id="a", content="dig", created_by="user:anna")
        for stranger in (BERT, ANNA_ELSEWHERE):
            for call in (
                store.get_board(stranger, team.task_id),
                store.change_board(team.task_id, add, viewer=stranger),
            ):
                with pytest.raises(MusterdError) as refused:
                    await call
                assert refused.value.reason is Reason.TASK_NOT_FOUND
        await store.change_board(team.task_id, add, viewer=ANNA)
        assert list((await store.get_board(ADMIN, team.task_id)).todos) == ["a"]

    async def test_the_board_of_a_team_that_has_ended_stays_as_it_is(self, store: Store) -> None:
        """T7."""
        team = await start_team(store)
        await store.change_board(team.task_id, AddTodo(todo_id="a", content="dig"))
        board = await store.get_board(None, team.task_id)
        await store.write([complete(team)])
        log = await read_log(store, team)
        for command in (OPEN, AddTodo(todo_id="b", content="dig"), ClaimTodo(todo_id="a", member="bob")):
            refusal = await refuse(store, team.task_id, command)
            assert refusal.reason is Reason.TEAM_ENDED
            assert refusal.metadata == {"task_id": team.task_id, "state": "completed"}
        assert await store.get_board(None, team.task_id) == board
        assert await read_log(store, team) == log

    async def test_a_team_that_is_being_canceled_may_still_tidy_up(self, store: Store) -> None:
        """R5, T4."""
        team = await start_team(store)
        await store.change_board(team.task_id, AddTodo(todo_id="a", content="dig"))
        await store.request_cancel(ANNA, team.task_id, HARD, None)
        assert (await store.change_board(team.task_id, ClaimTodo(todo_id="a", member="bob"))).is_done

    async def test_a_repeated_call_changes_nothing(self, store: Store, committed: list[Event]) -> None:
        """R8, T7."""
        team = await start_team(store)
        key = make_key("r1", method="AddTodo")
        add = AddTodo(todo_id="a", content="dig")
        first = await store.change_board(team.task_id, add, viewer=ANNA, request=key)
        again = await store.change_board(team.task_id, add, viewer=ANNA, request=key)
        assert first.board.todos["a"] == again.board.todos["a"]
        changed = make_key("r1", method="AddTodo", body="another body")
        with pytest.raises(MusterdError) as refused:
            await store.change_board(team.task_id, AddTodo(todo_id="b", content="x"), viewer=ANNA, request=changed)
        assert refused.value.reason is Reason.REQUEST_ID_REUSED
        found = await store.find_request(key)
        assert found is not None
        assert found.task_id == team.task_id
        assert len(committed) == 2

    async def test_a_repeated_call_is_answered_after_the_team_has_ended(self, store: Store) -> None:
        """R8, T7."""
        team = await start_team(store)
        key = make_key("r1", method="SendTeamMessage")
        message = SendMessage(message_id="m", sender="user:anna", receiver="", content="hi")
        first = await store.change_board(team.task_id, message, viewer=ANNA, request=key)
        await store.write([complete(team)])
        again = await store.change_board(team.task_id, message, viewer=ANNA, request=key)
        assert again.board.messages == first.board.messages
        assert again.delivered == ()

    async def test_an_item_that_was_removed_blocks_nothing_any_more(self, store: Store) -> None:
        """T2: the items that waited for it are stored without it too."""
        team = await start_team(store)
        for command in (
            AddTodo(todo_id="a", content="dig"),
            AddTodo(todo_id="b", content="fill", blocked_by=("a",)),
            RemoveTodo(todo_id="a", actor="leader"),
        ):
            await store.change_board(team.task_id, command)
        assert (await store.get_board(None, team.task_id)).todos == {"b": Todo(id="b", content="fill")}
        assert not (await store.change_board(team.task_id, RemoveTodo(todo_id="a"))).is_done

    async def test_a_repeated_removal_is_one_that_was_done(self, store: Store) -> None:
        """T7, R8: one that found nothing finds nothing again."""
        team = await start_team(store)
        await store.change_board(team.task_id, AddTodo(todo_id="a", content="dig"))
        removal = RemoveTodo(todo_id="a", actor="leader")
        keys = [make_key("r1", method="remove_todo"), make_key("r2", method="remove_todo")]
        records = [await store.change_board(team.task_id, removal, request=key) for key in keys * 2]
        assert [record.is_done for record in records] == [True, False, True, False]

    async def test_boards_are_their_teams_own(self, store: Store) -> None:
        """T7."""
        blue, red = await start_team(store), await start_team(store)
        await store.change_board(blue.task_id, AddTodo(todo_id="a", content="dig"))
        await send(store, blue)
        assert await store.get_board(None, red.task_id) == Board(team="blue", members=MEMBERS)
        await store.change_board(red.task_id, AddTodo(todo_id="a", content="another"))
        assert (await store.get_board(None, blue.task_id)).todos["a"].content == "dig"

    @settings(max_examples=40, suppress_health_check=PER_STORE, deadline=None)
    @given(commands=st.lists(COMMANDS, max_size=25))
    async def test_the_events_of_a_team_make_up_its_board(self, store: Store, commands: list[BoardCommand]) -> None:
        """T2, T7: every change is an event."""
        team = await start_team(store)
        sent = 0
        for command in commands:
            try:
                record = await store.change_board(team.task_id, command)
            except MusterdError as refusal:
                assert refusal.reason is Reason.TODO_REFUSED  # noqa: PT017 - most commands are not refused
                continue
            sent += isinstance(command, SendMessage)
            if not isinstance(command, SendMessage):
                assert record.board.todos == (await store.get_board(None, team.task_id)).todos
        board = await store.get_board(None, team.task_id)
        log = await read_log(store, team)
        assert fold(log) == board
        assert list(fold(log).todos) == list(board.todos)
        assert sum(isinstance(payload, TeamMessageSent) for payload in log) == len(board.messages) == sent
