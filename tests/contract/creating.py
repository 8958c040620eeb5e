"""New tasks, and calls that are made twice."""

import asyncio

import pytest
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    GREETER,
    LATER_OWNER,
    OWNER,
    claim,
    make_child,
    make_key,
    make_root,
    make_spec,
    read_log,
    start,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, TaskStarted
from musterd.domain.ids import new_id
from musterd.domain.ports import NewTask, RequestKey, Store
from musterd.domain.principal import Viewer
from musterd.domain.task import Part, Priority, Task, TaskState, Usage

LARGE = 64 * 1024 + 1


class CreatingContract:
    """What `create_task` and `find_request` promise."""

    async def test_an_owned_task_is_working_at_once(self, store: Store) -> None:
        """R11."""
        new = make_root(spec=make_spec(session_id="s1"), labels={"team": "blue"})
        before = await store.now()
        created = await store.create_task(new)
        after = await store.now()
        task = created.task
        assert created.is_new
        assert before <= task.create_time <= after
        assert task == Task(
            task_id=new.task_id,
            root_task_id=new.task_id,
            component=GREETER,
            state=TaskState.WORKING,
            tenant_id="acme",
            user_id="anna",
            session_id="s1",
            priority=Priority.NORMAL,
            attempt=1,
            create_time=task.create_time,
            start_time=task.create_time,
            update_time=task.create_time,
            usage=Usage(),
            last_sequence=1,
            labels={"team": "blue"},
            tree_usage=Usage(),
        )
        assert await store.get_task(ANNA, new.task_id) == task

    async def test_a_task_without_owner_is_submitted(self, store: Store) -> None:
        """R11."""
        task = await start(store, make_root(owner=None, payloads=()))
        assert (task.state, task.attempt, task.start_time, task.last_sequence) == (TaskState.SUBMITTED, 0, None, 0)
        assert await store.get_task(ANNA, task.task_id) == task

    async def test_the_first_events_begin_the_log(self, store: Store, committed: list[Event]) -> None:
        """R3."""
        task = await start(store, make_root(payloads=(TaskStarted(session_id="s1"), TaskStarted())))
        page = await store.read_events(task.task_id, 0, 10)
        assert [event.payload for event in page.events] == [TaskStarted(session_id="s1"), TaskStarted()]
        assert [(event.sequence, event.create_time) for event in page.events] == [
            (1, task.create_time),
            (2, task.create_time),
        ]
        assert list(page.events) == committed

    async def test_a_child_shares_the_log_of_its_tree(self, store: Store) -> None:
        """R3."""
        root = await start(store)
        child = await start(store, make_child(root))
        grandchild = await start(store, make_child(child))
        assert (child.root_task_id, child.parent_task_id) == (root.task_id, root.task_id)
        assert (grandchild.root_task_id, grandchild.parent_task_id) == (root.task_id, child.task_id)
        page = await store.read_events(root.task_id, 0, 10)
        assert [(event.sequence, event.task_id) for event in page.events] == [
            (1, root.task_id),
            (2, child.task_id),
            (3, grandchild.task_id),
        ]
        assert {event.root_task_id for event in page.events} == {root.task_id}

    async def test_a_child_of_a_missing_tree_is_refused(self, store: Store) -> None:
        """R3."""
        orphan = make_root().task_id
        new = NewTask(task_id=new_id(), root_task_id=orphan, parent_task_id=orphan, spec=make_spec(), owner=OWNER)
        with pytest.raises(MusterdError) as refused:
            await store.create_task(new)
        assert refused.value.reason is Reason.TASK_NOT_FOUND

    async def test_a_child_under_a_parent_of_another_tree_or_tenant_is_refused(self, store: Store) -> None:
        """I5."""
        root, other = await start(store), await start(store)
        stray = NewTask(
            task_id=new_id(), root_task_id=root.task_id, parent_task_id=other.task_id, spec=make_spec(), owner=OWNER
        )
        for new in (stray, make_child(root, viewer=ANNA_ELSEWHERE)):
            with pytest.raises(MusterdError) as refused:
                await store.create_task(new)
            assert refused.value.reason is Reason.TASK_NOT_FOUND
        assert await store.get_descendants(root.task_id) == []
        assert len(await read_log(store, root)) == 1

    async def test_the_spec_comes_back_as_it_was_given(self, store: Store, restart: Restart) -> None:
        """C9."""
        parts = (
            Part(name="notes", media_type="text/plain", text="ünïcode \x00 and all"),
            Part(name="logo", media_type="image/png", data=bytes(range(256))),
            Part(name="film", media_type="video/mp4", data=b"\xff\x00" * LARGE),
            Part(name="page", uri="https://example.org/a?b=c"),
            Part(name="the same film", media_type="video/mp4", data=b"\xff\x00" * LARGE),
        )
        spec = make_spec(session_id="s1", parts=parts)
        task = await start(store, make_root(spec=spec))
        (claimed,) = await claim(await restart(), LATER_OWNER, 10)
        assert claimed.task.task_id == task.task_id
        assert claimed.spec == spec

    async def test_a_repeated_call_gets_the_first_task(self, store: Store) -> None:
        """R8."""
        first = await store.create_task(make_root(request=make_key("r1")))
        again = await store.create_task(make_root(request=make_key("r1")))
        assert first.is_new
        assert not again.is_new
        assert again.task == first.task
        assert first.task.request_id == "r1"
        assert await store.find_request(make_key("r1")) == first.task
        assert len(await read_log(store, first.task)) == 1

    async def test_fifty_calls_at_once_with_one_key_make_one_task(self, store: Store, committed: list[Event]) -> None:
        """R8."""
        calls = [store.create_task(make_root(request=make_key("r1"))) for _ in range(50)]
        created = await asyncio.gather(*calls)
        assert sum(one.is_new for one in created) == 1
        assert len({one.task.task_id for one in created}) == 1
        assert len(committed) == 1

    async def test_a_key_with_another_body_is_refused(self, store: Store) -> None:
        """R8 (refusal)."""
        task = await start(store, make_root(request=make_key("r1")))
        changed = make_key("r1", body="another body")
        with pytest.raises(MusterdError) as refused:
            await store.create_task(make_root(request=changed))
        assert refused.value.reason is Reason.REQUEST_ID_REUSED
        with pytest.raises(MusterdError) as not_found:
            await store.find_request(changed)
        assert not_found.value.reason is Reason.REQUEST_ID_REUSED
        assert await store.get_task(ANNA, task.task_id) == task

    @pytest.mark.parametrize(
        "key",
        [make_key("r1", viewer=BERT), make_key("r1", viewer=ANNA_ELSEWHERE), make_key("r1", method="RunTeam")],
        ids=["user", "tenant", "method"],
    )
    async def test_a_request_id_counts_per_tenant_user_and_method(self, store: Store, key: RequestKey) -> None:
        """R8."""
        first = await store.create_task(make_root(request=make_key("r1")))
        assert await store.find_request(key) is None
        viewer = Viewer(tenant_id=key.tenant_id, user_id=key.user_id)
        second = await store.create_task(make_root(viewer, request=key))
        assert second.is_new
        assert second.task.task_id != first.task.task_id

    async def test_an_unknown_request_is_none(self, store: Store) -> None:
        """R8."""
        assert await store.find_request(make_key("r1")) is None

    async def test_what_is_stored_outlives_the_process(self, store: Store, restart: Restart) -> None:
        """R3, R8."""
        task = await start(store, make_root(request=make_key("r1")))
        reopened = await restart()
        assert await reopened.get_task(ANNA, task.task_id) == task
        assert await reopened.find_request(make_key("r1")) == task
        assert await read_log(reopened, task) == [TaskStarted()]
