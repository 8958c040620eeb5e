"""Tasks that wait without a process for what the tasks below them wait for."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.contract.approving import approve, ask_for, ask_one, deny, make_new, resolve
from tests.contract.claiming import EXPIRED, RENEWED
from tests.contract.incarnations import Restart
from tests.contract.parking import is_claimable, park
from tests.contract.questioning import ask
from tests.contract.values import (
    ANNA,
    HARD,
    LATER_OWNER,
    OWNER,
    SOFT,
    claim,
    complete,
    make_child,
    make_identity,
    read_log,
    start,
    write_one,
)

from musterd.domain.approval_store import Renewal
from musterd.domain.board import BoardMember
from musterd.domain.event import Custom, SubtaskEnded, TaskCanceled
from musterd.domain.full_store import FullStore
from musterd.domain.ports import Lost, TaskWrite
from musterd.domain.task import Task, TaskState
from musterd.domain.team_board import AddTodo, OpenBoard


async def family(store: FullStore, depth: int = 2) -> list[Task]:
    """Return a root, a child of it and so on; the last one has an approval open."""
    tasks = [await start(store)]
    while len(tasks) < depth:
        tasks.append(await start(store, make_child(tasks[-1])))
    await ask_one(store, tasks[-1])
    return tasks


async def park_all(store: FullStore, tasks: list[Task]) -> None:
    """Let all wait without a process, those below first."""
    for task in reversed(tasks):
        await park(store, task)


async def claimed_ids(store: FullStore) -> set[str]:
    """Claim, and return the ids of what was claimed."""
    return {each.task.task_id for each in await claim(store, LATER_OWNER)}


class ParkingOfParentsContract:
    """What `park` promises about tasks above others."""

    async def test_a_parent_is_parked_with_its_child_and_is_free_when_that_is_decided(
        self, store: FullStore, restart: Restart
    ) -> None:
        """N2, R3: however far above it is, and with its time standing still meanwhile."""
        tasks = await family(store, depth=3)
        await park_all(store, tasks)
        assert await store.find_held(OWNER) == {}
        assert await write_one(store, complete(tasks[0])) == Lost()
        assert [task.state for task in await store.get_tasks(ANNA, [task.task_id for task in tasks])] == [
            TaskState.WORKING,
            TaskState.WORKING,
            TaskState.INPUT_REQUIRED,
        ]
        store = await restart()
        assert not await is_claimable(store)
        await resolve(store, tasks[0], approve())
        claimed = await claim(store, LATER_OWNER)
        assert {each.task.task_id for each in claimed} == {task.task_id for task in tasks}
        assert all(each.task.parked_seconds > 0 and each.task.parked_count == 1 for each in claimed)
        assert all(each.task.state is TaskState.WORKING for each in claimed)

    async def test_a_parent_of_what_works_is_not_parked(self, store: FullStore) -> None:
        """N2 (refusal): nor one that has nothing to wait for."""
        parent, child = await family(store)
        assert await store.park(parent.task_id, 1) is False
        await park(store, child)
        busy = await start(store, make_child(parent))
        assert await store.park(parent.task_id, 1) is False
        await write_one(store, complete(busy))
        await park(store, parent)
        lonely = await start(store)
        assert await store.park(lonely.task_id, 1) is False

    async def test_a_parent_that_asks_something_is_not_parked(self, store: FullStore) -> None:
        """N2 (refusal), S6: it has to be there to hear the answer."""
        root, parent, child = await family(store, depth=3)
        await ask(store, parent)
        await park(store, child)
        assert await store.park(parent.task_id, 1) is False
        assert await store.park(root.task_id, 1) is False

    async def test_a_task_is_parked_only_while_it_waits_for_what_it_is_said_to_wait_for(self, store: FullStore) -> None:
        """N2 (refusal): whoever has ended by now has nobody to wake its parent, and another may be parked for days."""
        parent, parked = await family(store)
        ending = await start(store, make_child(parent))
        await park(store, parked)
        await write_one(store, complete(ending))
        ids = {parked.task_id, ending.task_id}
        assert await store.park(parent.task_id, 1, awaited=ids) is False
        assert await store.park(parent.task_id, 1, awaited=[ending.task_id]) is False
        assert (await store.find_held(OWNER)).keys() == {parent.task_id}
        assert await store.park(parent.task_id, 1, awaited=[parked.task_id]) is True

    async def test_a_task_whose_approval_was_decided_is_not_parked_for_its_child(self, store: FullStore) -> None:
        """N2 (refusal): it was not told yet. Nor is it for another approval that is open."""
        parent, child = await family(store)
        first, second = await ask_for(store, parent, make_new(), make_new())
        await park(store, child)
        for decided in (first, second):
            await resolve(store, parent, approve(decided.approval_id))
            assert await store.park(parent.task_id, 1, awaited=[first.approval_id, second.approval_id]) is False
        assert (await store.find_held(OWNER)).keys() == {parent.task_id}

    async def test_a_task_that_has_written_since_is_not_parked(self, store: FullStore) -> None:
        """N2 (refusal), R9: what it began then would be cut off."""
        parent, child = await family(store)
        await park(store, child)
        await write_one(
            store, TaskWrite(task_id=parent.task_id, attempt=1, number=3, payloads=(Custom(type="told", payload={}),))
        )
        assert await store.park(parent.task_id, 1, number=0) is False
        assert await store.park(parent.task_id, 1, number=2) is False
        assert await store.park(parent.task_id, 1, number=4) is False
        assert await store.park(parent.task_id, 1, number=3) is True

    async def test_a_todo_from_outside_wakes_a_team_up(self, store: FullStore) -> None:
        """N2, T7: another member may be free to do it, and those above are there when it asks."""
        root, team = await family(store)
        team_member = await start(store, make_child(team))
        await store.change_board(team.task_id, OpenBoard(team="red", members=(BoardMember(name="payer"),)))
        await resolve(store, team, approve())
        await ask_one(store, team_member)
        await park_all(store, [root, team, team_member])
        command = AddTodo(todo_id="a", content="dig")
        await store.change_board(team.task_id, command, viewer=ANNA)
        assert await claimed_ids(store) == {root.task_id, team.task_id}

    @pytest.mark.parametrize("cascade", [True, False])
    async def test_a_tree_that_waits_for_a_fresh_token_is_canceled_from_below(
        self, store: FullStore, *, cascade: bool
    ) -> None:
        """R5, I7, N2: what is parked below it ends before it, and it is told of that."""
        root, parent, child = await family(store, depth=3)
        other = await start(store, make_child(parent))
        await ask_one(store, other)
        await park_all(store, [root, parent, child, other])
        await resolve(store, child, approve())
        for claimed in await claim(store, OWNER):
            await store.park_for_identity(claimed.task.task_id, claimed.task.attempt, EXPIRED)
        order = HARD if cascade else replace(HARD, cascade=False)
        record = await store.request_cancel(ANNA, root.task_id, order, None)
        assert (record.task.state, record.to_interrupt) == (TaskState.CANCELED, ())
        log = await read_log(store, root)
        ended = [payload.subtask_id for payload in log if isinstance(payload, SubtaskEnded)]
        assert ended == ([*ended[:2], parent.task_id] if cascade else [])
        assert set(ended[:2]) == ({child.task_id, other.task_id} if cascade else set())
        assert isinstance(log[-1], TaskCanceled)
        assert not await is_claimable(store)

    async def test_a_parent_is_free_when_one_of_its_children_is(self, store: FullStore) -> None:
        """N2: the others wait on, and it may be parked again."""
        parent, first = await family(store)
        second = await start(store, make_child(parent))
        await ask_one(store, second)
        await park_all(store, [parent, first, second])
        await resolve(store, first, approve())
        claimed = {each.task.task_id: each.task for each in await claim(store, LATER_OWNER)}
        assert claimed.keys() == {parent.task_id, first.task_id}
        assert await store.park(parent.task_id, 2) is False
        await write_one(store, complete(claimed[first.task_id]))
        await park(store, claimed[parent.task_id])
        assert not await is_claimable(store)
        await resolve(store, second, deny())
        assert await claimed_ids(store) == {parent.task_id, second.task_id}

    async def test_a_part_of_what_is_asked_for_frees_nobody(self, store: FullStore) -> None:
        """N2."""
        parent = await start(store)
        child = await start(store, make_child(parent))
        first, second = await ask_for(store, child, make_new(), make_new())
        await park_all(store, [parent, child])
        await resolve(store, parent, approve(first.approval_id))
        assert not await is_claimable(store)
        await resolve(store, parent, approve(second.approval_id))
        assert await claimed_ids(store) == {parent.task_id, child.task_id}

    async def test_a_parent_is_free_when_the_time_of_its_child_is_over(self, store: FullStore) -> None:
        """N2."""
        root = await start(store)
        parent = await start(store, make_child(root))
        child = await start(store, make_child(parent))
        await ask_one(store, child, seconds=0.0)
        await park_all(store, [root, parent, child])
        assert await claimed_ids(store) == {root.task_id, parent.task_id, child.task_id}

    async def test_a_parent_that_waits_for_both_is_free_when_its_own_is_decided(self, store: FullStore) -> None:
        """N2: and not before all of its own are, unless its child is."""
        parent, child = await family(store)
        own, other = await ask_for(store, parent, make_new(), make_new())
        await park_all(store, [parent, child])
        await resolve(store, parent, approve(own.approval_id))
        assert not await is_claimable(store)
        await resolve(store, parent, approve(other.approval_id))
        assert await claimed_ids(store) == {parent.task_id}

    async def test_a_parent_that_waits_for_both_is_free_when_its_child_is_decided(self, store: FullStore) -> None:
        """N2."""
        parent, child = await family(store)
        own = await ask_one(store, parent)
        await park_all(store, [parent, child])
        (asked,) = (await store.get_task(ANNA, child.task_id)).approvals
        await resolve(store, parent, approve(asked.approval_id))
        assert await claimed_ids(store) == {parent.task_id, child.task_id}
        assert (await store.get_task(ANNA, parent.task_id)).approvals == (own,)

    async def test_a_parent_is_free_when_its_child_is_canceled(self, store: FullStore) -> None:
        """N2, R5."""
        root, parent, child = await family(store, depth=3)
        await park_all(store, [root, parent, child])
        await store.request_cancel(ANNA, child.task_id, HARD, None)
        assert await claimed_ids(store) == {root.task_id, parent.task_id}

    @pytest.mark.parametrize("cascade", [True, False])
    async def test_a_parked_parent_that_is_canceled_ends_after_its_children(
        self, store: FullStore, *, cascade: bool
    ) -> None:
        """N2, R5: whoever claims it sees to that."""
        parent, child = await family(store)
        await park_all(store, [parent, child])
        order = SOFT if cascade else replace(SOFT, cascade=False)
        record = await store.request_cancel(ANNA, parent.task_id, order, None)
        assert (record.task.state, record.to_interrupt) == (TaskState.CANCELING, (parent.task_id,))
        below = await store.get_task(ANNA, child.task_id)
        assert below.state is (TaskState.CANCELED if cascade else TaskState.INPUT_REQUIRED)
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.task_id, claimed.task.state) == (parent.task_id, TaskState.CANCELING)

    async def test_who_decides_for_the_owner_renews_all_that_goes_on(self, store: FullStore) -> None:
        """I7, N2: else those above would wait for a fresh token."""
        parent, child = await family(store)
        await park_all(store, [parent, child])
        fresh = replace(make_identity(), captured_at=datetime(2026, 2, 3, tzinfo=UTC))
        renewal = Renewal(identity=fresh, before=fresh.captured_at)
        await store.resolve(ANNA, parent.task_id, [approve()], user_id="anna", renewal=renewal, request=None)
        claimed = await claim(store, LATER_OWNER)
        assert [each.spec.identity for each in claimed] == [fresh, fresh]

    async def test_a_fresh_token_is_for_all_of_a_tree_that_nobody_runs(self, store: FullStore) -> None:
        """I7, N2: however many of it wait for one by then, or will."""
        root, parent, child = await family(store, depth=3)
        beside = await start(store, make_child(root))
        await park_all(store, [parent, child])
        await resolve(store, root, approve())
        first, second = await claim(store, OWNER)
        for task in (first.task, second.task):
            await store.park_for_identity(task.task_id, task.attempt, EXPIRED)
        fresh = replace(make_identity(), captured_at=datetime(2026, 2, 3, tzinfo=UTC))
        await store.renew_identity(ANNA, child.task_id, fresh, RENEWED, None)
        claimed = await claim(store, OWNER)
        assert {each.task.task_id for each in claimed} == {parent.task_id, child.task_id}
        assert [each.spec.identity for each in claimed] == [fresh, fresh]
        assert (await read_log(store, root)).count(RENEWED) == 2
        assert (await store.find_held(OWNER)).keys() >= {root.task_id, beside.task_id}
