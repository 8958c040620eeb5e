"""Who may decide about the tasks of others, and what they see of them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.approving import CARL, approve, ask_for, ask_one, make_new, resolve
from tests.contract.parking import park
from tests.contract.questioning import ask
from tests.contract.reading import in_order, list_all
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
    make_child,
    make_root,
    make_spec,
    make_steer,
    start,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import AuthRenewed
from musterd.domain.full_store import FullStore
from musterd.domain.ports import TaskQuery
from musterd.domain.principal import Viewer
from musterd.domain.task import Task, TaskState

DORA = Viewer(tenant_id="acme", user_id="dora", approver_id="dora")
CARL_ELSEWHERE = replace(CARL, tenant_id="umbrella")
WAITING = TaskQuery(viewer=CARL, limit=10, has_open_approvals=True)


async def sees(store: FullStore, viewer: Viewer, task: Task) -> bool:
    """Return whether a viewer finds a task, having checked that each way to look says the same."""
    calls = (store.get_task(viewer, task.task_id), store.get_tasks(viewer, [task.task_id]))
    alone, among = await asyncio.gather(*calls, return_exceptions=True)
    if isinstance(alone, Task):
        assert among == [alone]
        return True
    assert isinstance(alone, MusterdError)
    assert alone.reason is Reason.TASK_NOT_FOUND
    assert among == alone
    return False


class ApproversContract:
    """What `Viewer.approver_id` and `TaskQuery.has_open_approvals` promise."""

    async def test_an_approver_sees_a_tree_while_an_approval_of_it_is_open(self, store: FullStore) -> None:
        """I5: all of the tree, and later only who decided."""
        root = await start(store)
        child = await start(store, make_child(root))
        for task in (root, child):
            assert not await sees(store, CARL, task)
        await ask_one(store, child)
        for task in (root, child):
            assert await sees(store, CARL, task)
            assert await sees(store, DORA, task)
            assert not await sees(store, CARL_ELSEWHERE, task)
            assert not await sees(store, replace(CARL, approver_id=""), task)
        await resolve(store, root, approve(), viewer=CARL)
        for task in (root, child):
            assert await sees(store, CARL, task)
            assert not await sees(store, DORA, task)
        await store.write([complete(child), complete(root)])
        assert await sees(store, CARL, child)

    async def test_an_approver_may_decide_and_nothing_else(self, store: FullStore) -> None:
        """I5."""
        task = await start(store)
        await ask_one(store, task)
        await ask(store, task)
        calls = (
            store.request_cancel(CARL, task.task_id, HARD, None),
            store.add_steer(CARL, make_steer(task), None),
            store.answer(CARL, task.task_id, "", answer="yes", user_id="carl", request=None),
            store.renew_identity(CARL, task.task_id, make_spec().identity, AuthRenewed(user_id="carl"), None),
            store.get_board(CARL, task.task_id),
        )
        for call in calls:
            with pytest.raises(MusterdError) as refused:
                await call
            assert refused.value.reason is Reason.TASK_NOT_FOUND
        await resolve(store, task, approve(), viewer=CARL)

    async def test_who_decided_hears_the_same_again_and_others_find_nothing(self, store: FullStore) -> None:
        """I5, N2."""
        task = await start(store)
        approval = await ask_one(store, task)
        await resolve(store, task, approve(), viewer=CARL)
        again = await resolve(store, task, approve(approval.approval_id), viewer=CARL)
        assert again.task.state is TaskState.WORKING
        with pytest.raises(MusterdError) as refused:
            await resolve(store, task, approve(approval.approval_id), viewer=DORA)
        assert refused.value.reason is Reason.TASK_NOT_FOUND

    async def test_lists_of_what_waits_show_roots_with_open_approvals(self, store: FullStore) -> None:
        """I5, N2, R4: each once, to approvers those of others too."""
        roots = [await start(store) for _ in range(4)]
        child = await start(store, make_child(roots[0]))
        await ask_for(store, child, make_new(), make_new())
        await ask_for(store, roots[0], make_new())
        await ask_one(store, roots[1])
        berts = await start(store, make_root(BERT))
        await ask_one(store, berts)
        await park(store, berts)
        await ask_one(store, await start(store, make_root(ANNA_ELSEWHERE)))
        await ask_one(store, roots[2])
        await resolve(store, roots[2], approve())

        async def listed(viewer: Viewer) -> list[str]:
            return [task.task_id for task in await list_all(store, replace(WAITING, viewer=viewer))]

        expected = [task.task_id for task in in_order([*roots[:2], berts])]
        for viewer in (CARL, ADMIN):
            assert await listed(viewer) == expected
        assert await listed(BERT) == [berts.task_id]
        assert await listed(ANNA) == [task.task_id for task in in_order(roots[:2])]
        assert await listed(replace(CARL, approver_id="")) == []
        assert len(await listed(ADMIN_ELSEWHERE)) == 1
        shown = await store.list_tasks(WAITING)
        assert shown == await store.get_tasks(ADMIN, expected)
        assert [len(task.approvals) for task in shown] == [1, 1, 3]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    async def test_pages_of_what_waits_show_each_root_once(self, store: FullStore, limit: int) -> None:
        """R4, N2."""
        roots = [await start(store) for _ in range(7)]
        for root in (*roots, *roots[::2]):
            await ask_one(store, root)
        found = await list_all(store, replace(WAITING, limit=limit))
        assert [task.task_id for task in found] == [task.task_id for task in in_order(roots)]

    async def test_lists_of_what_waits_keep_to_all_other_filters(self, store: FullStore) -> None:
        """R4, N2."""
        root = await start(store, make_root(spec=make_spec(session_id="s1")))
        other = await start(store, make_root(spec=make_spec(component=WRITER)))
        child = await start(store, make_child(root))
        for task in (root, other):
            await ask_one(store, task)
        await store.write([complete(child)])

        async def listed(**filters: Any) -> list[str]:
            return [task.task_id for task in await list_all(store, replace(WAITING, **filters))]

        assert await listed(component=WRITER) == [other.task_id]
        assert await listed(component=GREETER, session_id="s1") == [root.task_id]
        assert await listed(component_kind="team") == []
        assert await listed(root_task_id=root.task_id) == [root.task_id]
        assert await listed(parent_task_id=root.task_id) == []
        assert await listed(states=frozenset((TaskState.WORKING,))) == []
        both = frozenset((TaskState.WORKING, TaskState.INPUT_REQUIRED))
        assert await listed(states=both) == [other.task_id, root.task_id]

    async def test_an_approver_s_other_lists_are_its_own(self, store: FullStore) -> None:
        """I5."""
        task, own = await start(store), await start(store, make_root(CARL))
        await ask_one(store, task)
        assert await store.list_tasks(TaskQuery(viewer=CARL, limit=10)) == [own]
