"""Sessions: whose turn it is, what a run adds, and what goes with a session."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.contract.approving import ask_one
from tests.contract.claiming import EXPIRED
from tests.contract.questioning import ask
from tests.contract.values import (
    ADMIN,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    GREETER,
    HARD,
    LATER_OWNER,
    OWNER,
    WRITER,
    claim,
    complete,
    fail,
    make_child,
    make_key,
    make_root,
    make_spec,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.full_store import FullStore
from musterd.domain.ports import NewTask, Stored, TaskWrite
from musterd.domain.principal import Viewer
from musterd.domain.session import HistoryWrite, SessionKey, SessionQuery
from musterd.domain.session_store import LiveRun
from musterd.domain.task import ComponentRef, Task, TaskState

ID = "s-1"


def session(viewer: Viewer = ANNA, component: ComponentRef = GREETER, session_id: str = ID) -> SessionKey:
    """Return the key of a session."""
    return SessionKey(
        tenant_id=viewer.tenant_id, user_id=viewer.user_id or "", session_id=session_id, component=component
    )


def make_run(key: SessionKey | None = None, *, owner: str | None = OWNER, request_id: str = "") -> NewTask:
    """Return a new run of a session."""
    key = key or session()
    viewer = Viewer(tenant_id=key.tenant_id, user_id=key.user_id)
    spec = make_spec(viewer, component=key.component, session_id=key.session_id)
    request = make_key(request_id, viewer=viewer) if request_id else None
    return make_root(viewer, spec=spec, owner=owner, request=request)


def add(task: Task, text: str = "hello", *, count: int = 2, replaces: bool = False) -> TaskWrite:
    """Return the write that ends a run which adds messages to its session."""
    history = HistoryWrite(messages_json=f'["{text}"]'.encode(), message_count=count, replaces=replaces)
    return replace(complete(task), history=history)


async def claim_one(store: FullStore, owner: str = OWNER) -> Task:
    """Return the only task that may be claimed."""
    (claimed,) = await claim(store, owner)
    return claimed.task


async def refusal_of(store: FullStore, new: NewTask) -> MusterdError:
    """Return why a new task is refused."""
    with pytest.raises(MusterdError) as refused:
        await store.create_task(new)
    return refused.value


async def texts(store: FullStore, key: SessionKey | None = None) -> Sequence[bytes]:
    """Return what runs have added to a session."""
    return [entry.messages_json for entry in await store.load_history(key or session())]


class SessionsContract:
    """What a store promises about sessions."""

    async def test_a_second_run_waits_for_the_first(self, store: FullStore) -> None:
        """N1."""
        first = await start(store, make_run())
        second = await start(store, make_run())
        assert (first.state, second.state, second.attempt) == (TaskState.WORKING, TaskState.SUBMITTED, 0)
        assert (await store.get_session(session())).live_task_id == first.task_id
        assert (list(await claim(store)), await store.has_claimable(OWNER)) == ([], False)
        assert await store.count_queued() == 1
        ended = await write_one(store, add(first))
        assert isinstance(ended, Stored)
        assert ended.frees_session
        assert (await store.get_session(session())).live_task_id == second.task_id
        assert await store.has_claimable(OWNER)
        assert (await claim_one(store)).task_id == second.task_id

    async def test_the_last_run_frees_nobody(self, store: FullStore) -> None:
        """N1."""
        ended = await write_one(store, add(await start(store, make_run())))
        assert isinstance(ended, Stored)
        assert not ended.frees_session
        assert (await store.get_session(session())).live_task_id == ""
        assert (await start(store, make_run())).state is TaskState.WORKING

    async def test_runs_come_in_the_order_of_their_coming(self, store: FullStore) -> None:
        """N1."""
        first = await start(store, make_run())
        waiting = [await start(store, make_run(owner=None)) for _ in range(3)]
        await write_one(store, fail(first))
        for expected in waiting:
            task = await claim_one(store)
            assert task.task_id == expected.task_id
            await write_one(store, add(task))
        assert not await claim(store)

    async def test_a_canceled_run_is_passed_over(self, store: FullStore) -> None:
        """N1: while it waits, and as the next one when its turn has come."""
        first = await start(store, make_run())
        waiting = [await start(store, make_run()) for _ in range(4)]
        record = await store.request_cancel(ANNA, waiting[0].task_id, HARD, None)
        assert record.task.state is TaskState.CANCELED
        await write_one(store, add(first))
        await store.request_cancel(ANNA, waiting[1].task_id, HARD, None)
        assert (await store.get_session(session())).live_task_id == waiting[2].task_id
        assert (await claim_one(store)).task_id == waiting[2].task_id
        assert (await store.get_task(ANNA, waiting[3].task_id)).state is TaskState.SUBMITTED

    async def test_a_cancel_and_the_end_before_it_pass_a_session_on_together(self, store: FullStore) -> None:
        """N1: whichever comes first, the one that is left has it."""
        for _ in range(10):
            first = await start(store, make_run())
            second, third = [await start(store, make_run()) for _ in range(2)]
            await asyncio.gather(write_one(store, add(first)), store.request_cancel(ANNA, second.task_id, HARD, None))
            assert (await claim_one(store)).task_id == third.task_id
            await write_one(store, add(await store.get_task(ANNA, third.task_id)))

    async def test_only_one_of_many_that_come_at_once_gets_it(self, store: FullStore) -> None:
        """N1: and all of them have their turn."""
        created = await asyncio.gather(*[store.create_task(make_run()) for _ in range(10)])
        working = [each.task for each in created if each.task.state is TaskState.WORKING]
        for number in range(10):
            (task,) = working
            await write_one(store, add(task, str(number)))
            working = [each.task for each in await claim(store)]
        assert working == []
        assert await texts(store) == [f'["{number}"]'.encode() for number in range(10)]

    async def test_an_end_and_a_new_run_never_miss_each_other(self, store: FullStore) -> None:
        """N1: no run waits for a session that nobody has."""
        for _ in range(20):
            first = await start(store, make_run())
            ended, created = await asyncio.gather(write_one(store, add(first)), store.create_task(make_run()))
            assert isinstance(ended, Stored)
            task = created.task
            assert ended.frees_session is (task.state is TaskState.SUBMITTED)
            await write_one(store, add(task if task.state is TaskState.WORKING else await claim_one(store)))

    @pytest.mark.parametrize(
        "other", [session(BERT), session(ANNA_ELSEWHERE), session(component=WRITER), session(session_id="s-2")]
    )
    async def test_other_sessions_do_not_wait(self, store: FullStore, other: SessionKey) -> None:
        """N1: that of another user, tenant or component, or with another id."""
        await start(store, make_run())
        task = await start(store, make_run(other))
        assert task.state is TaskState.WORKING
        await write_one(store, add(task))
        assert await texts(store) == []

    async def test_what_has_no_session_does_not_wait(self, store: FullStore) -> None:
        """N1."""
        tasks = [await start(store) for _ in range(2)]
        assert [task.state for task in tasks] == [TaskState.WORKING] * 2
        assert await store.list_sessions(SessionQuery(tenant_id="acme", user_id="anna", limit=9)) == []

    async def test_children_do_not_wait_for_their_own_session(self, store: FullStore) -> None:
        """N1: and their end does not give it away."""
        root = await start(store, make_run())
        child = replace(make_child(root), spec=make_spec(session_id=ID))
        task = await start(store, child)
        assert task.state is TaskState.WORKING
        await write_one(store, complete(task))
        assert (await store.get_session(session())).live_task_id == root.task_id

    @pytest.mark.parametrize("what", ["question", "approval", "identity"])
    async def test_while_a_run_waits_for_somebody_another_is_refused(self, store: FullStore, what: str) -> None:
        """N1 (refusal)."""
        first = await start(store, make_run())
        match what:
            case "question":
                await ask(store, first)
            case "approval":
                await ask_one(store, first)
                await store.park(first.task_id, first.attempt)
            case _:
                await store.park_for_identity(first.task_id, first.attempt, EXPIRED)
        error = await refusal_of(store, make_run())
        assert error.reason is Reason.SESSION_BUSY
        assert error.metadata == {"session_id": ID, "task_id": first.task_id}
        assert await store.count_queued() == 0
        await store.request_cancel(ANNA, first.task_id, HARD, None)

    async def test_the_same_request_is_not_refused(self, store: FullStore) -> None:
        """R8, N1: it leads to the run that waits for somebody."""
        first = await start(store, make_run(request_id="r-1"))
        await ask(store, first)
        created = await store.create_task(make_run(request_id="r-1"))
        assert (created.is_new, created.task.task_id) == (False, first.task_id)

    async def test_a_full_queue_refuses_a_run_that_would_wait(self, store: FullStore) -> None:
        """R9: and leaves the session as it was."""
        first = await start(store, make_run())
        before = await store.get_session(session())
        error = await refusal_of(store, replace(make_run(), max_queued=0))
        assert error.reason is Reason.CAPACITY_EXHAUSTED
        assert await store.get_session(session()) == before
        await write_one(store, add(first))
        assert not await claim(store)

    async def test_a_run_that_waits_outlives_its_server(self, store: FullStore) -> None:
        """N1: who takes over the first run has it first, then the other."""
        first, second = await start(store, make_run()), await start(store, make_run())
        await store.release_task(first.task_id, first.attempt)
        taken = await claim_one(store, LATER_OWNER)
        assert taken.task_id == first.task_id
        await write_one(store, add(taken))
        assert (await claim_one(store, LATER_OWNER)).task_id == second.task_id

    async def test_what_runs_add_is_kept_in_order(self, store: FullStore) -> None:
        """N1."""
        first = await start(store, make_run())
        await write_one(store, add(first, "\\u0000 🐝"))
        second = await start(store, make_run())
        await write_one(store, add(second, "two", count=3))
        entries = await store.load_history(session())
        assert [entry.position for entry in entries] == [1, 2]
        assert [entry.task_id for entry in entries] == [first.task_id, second.task_id]
        assert [entry.message_count for entry in entries] == [2, 3]
        assert await texts(store) == ['["\\u0000 🐝"]'.encode(), b'["two"]']
        stands = await store.get_session(session())
        assert (stands.run_count, stands.message_count) == (2, 5)
        assert stands.size_bytes == sum(map(len, await texts(store)))
        assert stands.key == session()
        assert stands.create_time <= entries[0].create_time <= stands.update_time == entries[1].create_time

    async def test_a_run_that_does_not_complete_adds_nothing(self, store: FullStore) -> None:
        """N1."""
        await write_one(store, fail(await start(store, make_run())))
        await store.request_cancel(ANNA, (await start(store, make_run(owner=None))).task_id, HARD, None)
        stands = await store.get_session(session())
        assert (stands.run_count, stands.message_count, stands.size_bytes, stands.live_task_id) == (0, 0, 0, "")

    async def test_a_run_may_take_the_place_of_all_before(self, store: FullStore) -> None:
        """N1: positions go on to count up."""
        for text in ("one", "two"):
            await write_one(store, add(await start(store, make_run()), text))
        await write_one(store, add(await start(store, make_run()), "summary", count=1, replaces=True))
        await write_one(store, add(await start(store, make_run()), "four"))
        entries = await store.load_history(session())
        assert [(entry.position, entry.messages_json) for entry in entries] == [(3, b'["summary"]'), (4, b'["four"]')]
        stands = await store.get_session(session())
        assert (stands.run_count, stands.message_count) == (4, 3)
        assert stands.size_bytes == sum(map(len, await texts(store)))

    async def test_a_lost_write_adds_nothing(self, store: FullStore) -> None:
        """N1, R11."""
        first = await start(store, make_run())
        await store.release_task(first.task_id, first.attempt)
        taken = await claim_one(store, LATER_OWNER)
        await write_one(store, add(first, "too late"))
        await write_one(store, add(taken, "in time"))
        await write_one(store, add(taken, "again"))
        assert await texts(store) == [b'["in time"]']

    async def test_pages_of_a_session(self, store: FullStore) -> None:
        """N1."""
        for number in range(5):
            await write_one(store, add(await start(store, make_run()), str(number)))
        page = await store.read_session(session(), after_position=0, limit=2)
        rest = await store.read_session(session(), after_position=page[-1].position, limit=9)
        assert [entry.position for entry in (*page, *rest)] == [1, 2, 3, 4, 5]
        assert [*page, *rest] == list(await store.load_history(session()))

    async def test_a_session_that_is_not_there(self, store: FullStore) -> None:
        """N1: it has no history, and all else says SESSION_NOT_FOUND."""
        assert await texts(store) == []
        calls = (
            store.get_session(session()),
            store.read_session(session(), after_position=0, limit=1),
            store.delete_session(session()),
        )
        for refused in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(refused, MusterdError)
            assert refused.reason is Reason.SESSION_NOT_FOUND
        assert await store.find_live_runs(session()) == []

    async def test_sessions_are_listed_latest_first_in_pages(self, store: FullStore) -> None:
        """N1."""
        keys = [
            session(session_id="s-1"),
            session(session_id="S-2"),
            session(component=WRITER, session_id="s-1"),
            session(session_id="ä"),
        ]
        for key in keys:
            await write_one(store, add(await start(store, make_run(key))))
        await start(store, make_run(session(BERT)))
        await write_one(store, add(await start(store, make_run(keys[0]))))
        expected = [keys[0], *reversed(keys[1:])]
        query = SessionQuery(tenant_id="acme", user_id="anna", limit=9)
        listed = await store.list_sessions(query)
        assert [one.key for one in listed] == expected
        assert [await store.get_session(one.key) for one in listed] == list(listed)
        found: list[SessionKey] = []
        page = await store.list_sessions(replace(query, limit=1))
        while page:
            found.append(page[0].key)
            key, time = page[0].key, page[0].update_time
            before = (time, key.session_id, key.component.kind.value, key.component.id)
            page = await store.list_sessions(replace(query, limit=1, before=before))
        assert found == expected
        by_id = await store.list_sessions(replace(query, session_id="s-1"))
        assert [one.key for one in by_id] == [keys[0], keys[2]]
        by_component = await store.list_sessions(replace(query, component=GREETER))
        assert [one.key for one in by_component] == [keys[0], keys[3], keys[1]]
        both = await store.list_sessions(replace(query, component=WRITER, session_id="s-1"))
        assert [one.key for one in both] == [keys[2]]

    async def test_live_runs_are_those_of_the_session_and_below(self, store: FullStore) -> None:
        """N1: a child that outlives its run too."""
        root = await start(store, make_run())
        spec = make_spec(session_id=ID, component=WRITER)
        child = await start(store, replace(make_child(root), spec=spec, outlives_parent=True))
        await start(store, make_run(session(BERT)))
        await start(store, make_run(session(component=WRITER)))
        below = LiveRun(task_id=child.task_id, root_task_id=root.task_id)
        live = LiveRun(task_id=root.task_id, root_task_id=root.task_id)
        assert await store.find_live_runs(session()) == [live, below]
        await write_one(store, add(root))
        waiting = await start(store, make_run(owner=None))
        last = LiveRun(task_id=waiting.task_id, root_task_id=waiting.task_id)
        assert await store.find_live_runs(session()) == [below, last]

    async def test_a_session_with_a_live_task_is_not_deleted(self, store: FullStore) -> None:
        """N1 (refusal): neither while a run has it, nor while a child of one goes on."""
        root = await start(store, make_run())
        spec = make_spec(session_id=ID)
        child = await start(store, replace(make_child(root), spec=spec, outlives_parent=True))
        for live in (root, child):
            with pytest.raises(MusterdError) as refused:
                await store.delete_session(session())
            assert (refused.value.reason, refused.value.metadata["task_id"]) == (Reason.SESSION_BUSY, live.task_id)
            await write_one(store, complete(live))
        await store.delete_session(session())

    async def test_a_deleted_session_takes_its_runs_with_it(self, store: FullStore) -> None:
        """N1: and no others; with the same id it begins anew."""
        gone = [await start(store, make_run(request_id="r-1")), await start(store, make_run())]
        await write_one(store, add(gone[0]))
        await write_one(store, add(await claim_one(store)))
        others = [await start(store, make_run(key)) for key in (session(BERT), session(component=WRITER))]
        for other in others:
            await write_one(store, add(other))
        await store.delete_session(session())
        for task in gone:
            with pytest.raises(MusterdError) as refused:
                await store.get_task(ADMIN, task.task_id)
            assert refused.value.reason is Reason.TASK_NOT_FOUND
            assert (await store.read_events(task.task_id, 0, 9)).events == ()
        for other, key in zip(others, (session(BERT), session(component=WRITER)), strict=True):
            assert (await store.get_task(ADMIN, other.task_id)).state is TaskState.COMPLETED
            assert len(await store.load_history(key)) == 1
        again = await start(store, make_run(request_id="r-1"))
        assert again.state is TaskState.WORKING
        assert (await store.get_session(session())).live_task_id == again.task_id

    async def test_a_new_run_and_a_deletion_do_not_mix(self, store: FullStore) -> None:
        """N1: either the session is busy, or the run begins a new one."""
        for _ in range(10):
            await write_one(store, add(await start(store, make_run()), "old"))
            new, deleted = await asyncio.gather(
                store.create_task(make_run()), store.delete_session(session()), return_exceptions=True
            )
            assert not isinstance(new, BaseException)
            if deleted is None:
                assert await texts(store) == []
            else:
                assert isinstance(deleted, MusterdError)
                assert deleted.reason is Reason.SESSION_BUSY
                assert await texts(store) == [b'["old"]']
            await write_one(store, complete(new.task))
            await store.delete_session(session())
