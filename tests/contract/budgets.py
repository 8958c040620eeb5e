"""What a tree of tasks spends."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.children import make_subtask
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ANNA,
    LATER_OWNER,
    PER_STORE,
    SPENT,
    claim,
    complete,
    fail,
    make_root,
    make_spec,
    read_log,
    start,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.ports import Store, TaskWrite
from musterd.domain.task import Budget, Task, Usage, UsageLimits

USAGES = st.builds(
    Usage,
    requests=st.integers(0, 9),
    tool_calls=st.integers(0, 9),
    input_tokens=st.integers(0, 1_000),
    output_tokens=st.integers(0, 1_000),
    cache_read_tokens=st.integers(0, 1_000),
    cache_write_tokens=st.integers(0, 1_000),
)
LIMITS = UsageLimits(requests=5)


def spend(task: Task, usage: Usage) -> TaskWrite:
    """Return the write that says what a task has spent so far."""
    return TaskWrite(task_id=task.task_id, attempt=task.attempt, usage=usage)


def total(*usages: Usage) -> Usage:
    """Return the sum of usages, without their details."""
    return Usage(
        requests=sum(usage.requests for usage in usages),
        tool_calls=sum(usage.tool_calls for usage in usages),
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cache_read_tokens=sum(usage.cache_read_tokens for usage in usages),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in usages),
    )


class BudgetsContract:
    """What a store promises about the budget of a tree."""

    async def test_a_new_tree_has_the_limits_of_its_root(self, store: Store) -> None:
        """R10."""
        created = await store.create_task(make_root(owner=None))
        assert created.budget == Budget(limits=LIMITS, spent=Usage())
        assert created.task.tree_usage == Usage()
        (claimed,) = await claim(store)
        assert claimed.budget == created.budget

    async def test_the_limits_of_a_child_do_not_change_the_tree_s(self, store: Store) -> None:
        """R10."""
        root = await start(store)
        new = make_subtask(root)
        spec = replace(new.spec, usage_limits=UsageLimits(requests=1))
        assert (await store.create_task(replace(new, spec=spec))).budget.limits == LIMITS

    @settings(max_examples=20, suppress_health_check=PER_STORE, deadline=None)
    @given(writes=st.lists(st.tuples(st.integers(0, 2), USAGES), max_size=12))
    async def test_a_tree_has_spent_what_its_tasks_have(self, store: Store, writes: list[tuple[int, Usage]]) -> None:
        """R10."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner="server-1"))
        grandchild = await start(store, make_subtask(child, owner="server-1"))
        tasks = (root, child, grandchild)
        spent = [Usage(), Usage(), Usage()]
        for index, usage in writes:
            spent[index] = usage
            await store.write([spend(tasks[index], usage)])
        assert (await store.get_task(ANNA, root.task_id)).tree_usage == total(*spent)
        for task in (child, grandchild):
            assert (await store.get_task(ANNA, task.task_id)).tree_usage is None

    async def test_failed_work_counts_and_so_does_the_last_write(self, store: Store) -> None:
        """R10."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner="server-1"))
        await store.write([spend(child, Usage(requests=1)), spend(root, Usage(requests=1)), fail(child)])
        assert (await store.get_task(ANNA, root.task_id)).tree_usage == total(Usage(requests=1), SPENT)
        await store.write([complete(root)])
        assert (await store.get_task(ANNA, root.task_id)).tree_usage == total(SPENT, SPENT)

    async def test_what_was_spent_outlives_the_process(self, store: Store, restart: Restart) -> None:
        """R10."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner="server-1"))
        await store.write([spend(root, Usage(requests=1)), spend(child, Usage(requests=2))])
        store = await restart()
        claimed = {one.task.task_id: one for one in await claim(store, LATER_OWNER)}
        assert all(one.budget == Budget(limits=LIMITS, spent=Usage(requests=3)) for one in claimed.values())
        # The former usage is counted once.
        await store.write([spend(claimed[child.task_id].task, Usage(requests=4))])
        assert (await store.get_task(ANNA, root.task_id)).tree_usage == Usage(requests=5)

    async def test_a_tree_that_has_spent_all_starts_no_child(self, store: Store) -> None:
        """R10: at the limit there is nothing left, one below it there is."""
        root = await start(store)
        await store.write([spend(root, Usage(requests=4))])
        child = await start(store, make_subtask(root, owner="server-1"))
        await store.write([spend(child, Usage(requests=1))])
        log = await read_log(store, root)
        for parent in (root, child):
            with pytest.raises(MusterdError) as refused:
                await store.create_task(make_subtask(parent))
            assert refused.value.reason is Reason.USAGE_LIMIT_EXCEEDED
            assert "5 of 5 requests" in refused.value.message
        assert await read_log(store, root) == log

    async def test_a_child_that_is_there_is_found_when_all_is_spent(self, store: Store) -> None:
        """R10, S3."""
        root = await start(store)
        new = make_subtask(root)
        await store.create_task(new)
        await store.write([spend(root, Usage(requests=5))])
        assert not (await store.create_task(new)).is_new

    async def test_trees_do_not_share_a_budget(self, store: Store) -> None:
        """R10."""
        spec = replace(make_spec(), usage_limits=UsageLimits(total_tokens=100))
        spender, other = await start(store, make_root(spec=spec)), await start(store, make_root(spec=spec))
        await store.write([spend(spender, Usage(input_tokens=60, output_tokens=40))])
        assert (await store.create_task(make_subtask(other))).budget.spent == Usage()
        with pytest.raises(MusterdError) as refused:
            await store.create_task(make_subtask(spender))
        assert "100 of 100 total tokens" in refused.value.message
