"""Looking at tasks and logs: who sees what, in which order, page by page."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.contract.values import (
    ADMIN,
    ADMIN_ELSEWHERE,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    GREETER,
    HARD,
    WRITER,
    complete,
    fail,
    make_child,
    make_deltas,
    make_root,
    make_spec,
    say,
    start,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import TaskStarted
from musterd.domain.ids import new_id
from musterd.domain.ports import EventPage, Store, TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.task import Task, TaskState


def in_order(tasks: Sequence[Task]) -> Sequence[Task]:
    """Return tasks as a list shows them."""
    return sorted(tasks, key=lambda task: (task.create_time, task.task_id), reverse=True)


async def list_all(store: Store, query: TaskQuery) -> list[Task]:
    """Return all tasks of a query, read page by page, having checked that no page is longer than it may be."""
    found: list[Task] = []
    while page := await store.list_tasks(query):
        assert len(page) <= query.limit
        found += page
        query = replace(query, before=(page[-1].create_time, page[-1].task_id))
    return found


async def list_ids(store: Store, query: TaskQuery) -> set[str]:
    """Return the ids of all tasks of a query."""
    return {task.task_id for task in await list_all(store, query)}


class ReadingContract:
    """What `get_task`, `get_tasks`, `list_tasks`, `get_descendants` and `read_events` promise."""

    @pytest.mark.parametrize("stranger", [BERT, ANNA_ELSEWHERE, ADMIN_ELSEWHERE])
    async def test_a_task_of_others_looks_like_none(self, store: Store, stranger: Viewer) -> None:
        """I5 (refusal)."""
        task = await start(store)
        for task_id in (task.task_id, new_id()):
            for call in (store.get_task(stranger, task_id), store.get_tasks(stranger, [task_id])):
                with pytest.raises(MusterdError) as refused:
                    await call
                assert refused.value.reason is Reason.TASK_NOT_FOUND
                assert refused.value.metadata == {"task_id": task_id}
        assert await store.list_tasks(TaskQuery(viewer=stranger, limit=10)) == []

    async def test_owner_and_administrator_see_a_task(self, store: Store) -> None:
        """I5."""
        task = await start(store)
        for viewer in (ANNA, ADMIN):
            assert await store.get_task(viewer, task.task_id) == task
            assert await store.list_tasks(TaskQuery(viewer=viewer, limit=10)) == [task]

    async def test_tasks_come_in_the_order_asked_for(self, store: Store) -> None:
        """R4."""
        tasks = [await start(store) for _ in range(4)]
        wanted = [tasks[2], tasks[0], tasks[3], tasks[0]]
        assert list(await store.get_tasks(ANNA, [task.task_id for task in wanted])) == wanted
        assert list(await store.get_tasks(ANNA, [])) == []

    async def test_the_first_task_that_is_not_visible_is_named(self, store: Store) -> None:
        """R4, I5."""
        mine, other = await start(store), await start(store, make_root(BERT))
        with pytest.raises(MusterdError) as refused:
            await store.get_tasks(ANNA, [mine.task_id, other.task_id, new_id()])
        assert refused.value.metadata == {"task_id": other.task_id}

    @pytest.mark.parametrize("limit", [1, 3, 7, 100])
    async def test_pages_show_each_task_once_newest_first(self, store: Store, limit: int) -> None:
        """R4."""
        at_once = await asyncio.gather(*[start(store) for _ in range(9)])
        tasks = [*at_once, await start(store), await start(store)]
        await start(store, make_root(BERT))
        assert await list_all(store, TaskQuery(viewer=ANNA, limit=limit)) == in_order(tasks)

    async def test_tasks_that_come_between_pages_disturb_nothing(self, store: Store) -> None:
        """R4."""
        tasks = [await start(store) for _ in range(4)]
        first = await store.list_tasks(TaskQuery(viewer=ANNA, limit=2))
        await start(store)
        last = first[-1]
        rest = await store.list_tasks(TaskQuery(viewer=ANNA, limit=10, before=(last.create_time, last.task_id)))
        assert [*first, *rest] == in_order(tasks)

    @pytest.mark.parametrize("viewer", [ANNA, ADMIN])
    async def test_lists_filter_by_state(self, store: Store, viewer: Viewer) -> None:
        """R4."""
        tasks = [await start(store) for _ in range(8)]
        submitted = await start(store, make_root(owner=None))
        await store.write([complete(task) for task in tasks[:3]])
        await store.write([fail(task) for task in tasks[3:5]])
        await store.request_cancel(ANNA, tasks[5].task_id, HARD, None)
        query = TaskQuery(viewer=viewer, limit=2)
        by_state = {state: await list_ids(store, replace(query, states=frozenset((state,)))) for state in TaskState}
        assert {state: ids for state, ids in by_state.items() if ids} == {
            TaskState.COMPLETED: {task.task_id for task in tasks[:3]},
            TaskState.FAILED: {task.task_id for task in tasks[3:5]},
            TaskState.CANCELING: {tasks[5].task_id},
            TaskState.WORKING: {tasks[6].task_id, tasks[7].task_id},
            TaskState.SUBMITTED: {submitted.task_id},
        }
        several = frozenset((TaskState.FAILED, TaskState.COMPLETED, TaskState.AUTH_REQUIRED))
        found = await list_all(store, replace(query, states=several))
        assert [task.task_id for task in found] == [task.task_id for task in in_order(tasks[:5])]

    @pytest.mark.parametrize("viewer", [ANNA, ADMIN])
    async def test_lists_filter_by_component_session_parent_and_root(self, store: Store, viewer: Viewer) -> None:
        """R4."""
        root = await start(store, make_root(spec=make_spec(session_id="s1")))
        child = await start(store, make_child(root))
        grandchild = await start(store, make_child(child))
        other = await start(store, make_root(spec=make_spec(component=WRITER, session_id="s1")))
        query = TaskQuery(viewer=viewer, limit=2)
        everything = {task.task_id for task in (root, child, grandchild, other)}
        assert await list_ids(store, query) == everything
        assert await list_ids(store, replace(query, component=WRITER)) == {other.task_id}
        assert await list_ids(store, replace(query, component=GREETER)) == everything - {other.task_id}
        assert await list_ids(store, replace(query, component_kind="agent")) == everything
        assert await list_ids(store, replace(query, component_kind="team")) == set()
        assert await list_ids(store, replace(query, session_id="s1")) == {root.task_id, other.task_id}
        assert await list_ids(store, replace(query, parent_task_id=root.task_id)) == {child.task_id}
        assert await list_ids(store, replace(query, root_task_id=root.task_id)) == everything - {other.task_id}

    async def test_all_filters_must_hold(self, store: Store) -> None:
        """R4."""
        root = await start(store, make_root(spec=make_spec(session_id="s1")))
        done = await start(store, make_root(spec=make_spec(component=WRITER, session_id="s1")))
        await store.write([complete(done)])
        query = TaskQuery(viewer=ANNA, limit=10, session_id="s1", states=frozenset((TaskState.COMPLETED,)))
        assert await list_ids(store, query) == {done.task_id}
        assert await list_ids(store, replace(query, component=GREETER)) == set()
        assert await list_ids(store, replace(query, component=WRITER)) == {done.task_id}
        assert await list_ids(store, replace(query, root_task_id=root.task_id)) == set()

    @pytest.mark.parametrize("stranger", [BERT, ANNA_ELSEWHERE, ADMIN_ELSEWHERE])
    async def test_no_filter_shows_tasks_of_others(self, store: Store, stranger: Viewer) -> None:
        """I5."""
        root = await start(store, make_root(spec=make_spec(session_id="s1")))
        await start(store, make_child(root))
        query = TaskQuery(viewer=stranger, limit=10)
        for filtered in (
            replace(query, states=frozenset(TaskState)),
            replace(query, component=GREETER),
            replace(query, component_kind="agent"),
            replace(query, session_id="s1"),
            replace(query, parent_task_id=root.task_id),
            replace(query, root_task_id=root.task_id),
        ):
            assert await store.list_tasks(filtered) == []

    async def test_descendants_are_all_that_is_below(self, store: Store) -> None:
        """R3."""
        root = await start(store)
        child = await start(store, make_child(root))
        sibling = await start(store, make_child(root))
        grandchild = await start(store, make_child(child))
        await start(store)
        below = {
            task.task_id: {found.task_id for found in await store.get_descendants(task.task_id)}
            for task in (root, child, sibling)
        }
        assert below == {
            root.task_id: {child.task_id, sibling.task_id, grandchild.task_id},
            child.task_id: {grandchild.task_id},
            sibling.task_id: set(),
        }
        await store.write([say(root, *make_deltas(1))])
        seen = {task.task_id: task for task in await store.get_descendants(root.task_id)}
        assert seen[child.task_id] == await store.get_task(ANNA, child.task_id)

    @pytest.mark.parametrize("limit", [1, 4, 100])
    async def test_a_log_is_read_page_by_page(self, store: Store, limit: int) -> None:
        """R3."""
        task = await start(store)
        deltas = make_deltas(9)
        await store.write([say(task, *deltas)])
        read: list[object] = []
        while (page := await store.read_events(task.task_id, len(read), limit)).events:
            assert len(page.events) <= limit
            assert (page.oldest_sequence, page.last_sequence) == (1, 10)
            assert page.events[0].sequence == len(read) + 1
            read += [event.payload for event in page.events]
        assert read == [TaskStarted(), *deltas]

    async def test_behind_the_end_of_a_log_there_is_nothing(self, store: Store) -> None:
        """R3."""
        task = await start(store)
        for after_sequence in (1, 2, 1000):
            page = await store.read_events(task.task_id, after_sequence, 10)
            assert page == EventPage(events=(), oldest_sequence=1, last_sequence=1)

    async def test_a_log_without_events_is_whole(self, store: Store) -> None:
        """R3."""
        task = await start(store, make_root(owner=None, payloads=()))
        empty = EventPage(events=(), oldest_sequence=1, last_sequence=0)
        assert await store.read_events(task.task_id, 0, 10) == empty
        assert await store.read_events(new_id(), 0, 10) == empty

    async def test_the_log_of_another_tree_is_another_log(self, store: Store) -> None:
        """R3."""
        task, other = await start(store), await start(store)
        await store.write([say(task, *make_deltas(3)), say(other, *make_deltas(1))])
        page = await store.read_events(other.task_id, 0, 10)
        assert {event.task_id for event in page.events} == {other.task_id}
        assert page.last_sequence == 2
