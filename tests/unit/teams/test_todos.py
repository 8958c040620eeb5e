import pytest

from musterd.domain.board import MAX_TODO_ATTEMPTS, MAX_TODOS
from musterd.teams import SharedTodoList, TodoRefused


async def test_an_item_is_added_and_found() -> None:
    """T2: what add is given is what get returns; ids are full width."""
    todos = SharedTodoList()
    first = await todos.add("write", created_by="ann")
    second = await todos.add("review", blocked_by=[first])
    item = await todos.get(second)
    assert item is not None
    assert (item.content, item.status, item.assigned_to) == ("review", "pending", None)
    assert (item.blocked_by, item.created_by) == ([first], None)
    assert [each.id for each in await todos.get_all()] == [first, second]
    assert await todos.count() == 2
    assert len(first) == 36


async def test_completing_an_item_unblocks_what_waits_for_it() -> None:
    """T2: available is what is pending and waits for nothing."""
    todos = SharedTodoList()
    first = await todos.add("write")
    second = await todos.add("review", blocked_by=[first])
    assert [item.id for item in await todos.get_available()] == [first]
    await todos.complete(first)
    assert [item.id for item in await todos.get_available()] == [second]


async def test_an_item_is_claimed_once() -> None:
    """T2: claim is False when the item is missing, not pending, claimed already or blocked."""
    todos = SharedTodoList()
    first = await todos.add("write")
    second = await todos.add("review", blocked_by=[first])
    assert await todos.claim(first, "ann")
    claimed = await todos.get(first)
    assert claimed is not None
    assert (claimed.status, claimed.assigned_to) == ("in_progress", "ann")
    assert not await todos.claim(first, "ann")
    assert not await todos.claim(first, "bob")
    assert not await todos.claim(second, "bob")
    assert not await todos.claim("missing", "bob")
    await todos.complete(first)
    assert not await todos.claim(first, "bob")
    assert await todos.claim(second, "bob")


async def test_items_returned_are_copies() -> None:
    """T2: to change what was returned does nothing to the list."""
    todos = SharedTodoList()
    todo_id = await todos.add("write")
    item = await todos.get(todo_id)
    assert item is not None
    item.content = "scribble"
    item.blocked_by.append("something")
    (await todos.get_all()).clear()
    unchanged = await todos.get(todo_id)
    assert unchanged is not None
    assert (unchanged.content, unchanged.blocked_by) == ("write", [])


async def test_an_unknown_dependency_is_refused() -> None:
    """T2 (refusal): the refusal names the id, and nothing is added."""
    todos = SharedTodoList()
    with pytest.raises(TodoRefused, match="there is no todo 'missing'"):
        await todos.add("review", blocked_by=["missing"])
    assert await todos.count() == 0


async def test_a_cycle_is_refused() -> None:
    """T2 (refusal): no item can come to wait for itself, directly or through others."""
    todos = SharedTodoList()
    first = await todos.add("write")
    second = await todos.add("review", blocked_by=[first])
    with pytest.raises(TodoRefused, match="would wait for itself"):
        await todos.block(first, by=[second])
    with pytest.raises(TodoRefused, match="would wait for itself"):
        await todos.block(first, by=[first])
    assert [item.id for item in await todos.get_available()] == [first]


async def test_an_item_can_be_made_to_wait_later() -> None:
    """T2: until somebody has it."""
    todos = SharedTodoList()
    first, second = await todos.add("write"), await todos.add("review")
    await todos.block(second, by=[first])
    assert [item.id for item in await todos.get_available()] == [first]
    await todos.claim(first, "ann")
    with pytest.raises(TodoRefused, match="only a pending one"):
        await todos.block(first, by=[])


async def test_what_an_agent_gives_up_is_free_again() -> None:
    """T2: a dead claimant's item is released, others' are not."""
    todos = SharedTodoList()
    first, second = await todos.add("write"), await todos.add("draw")
    await todos.claim(first, "ann")
    await todos.claim(second, "bob")
    await todos.release("ann")
    assert [item.id for item in await todos.get_available()] == [first]
    assert await todos.claim(first, "bob")


async def test_an_item_fails_when_it_was_given_up_too_often() -> None:
    """T2: the limit on attempts, at its edge."""
    todos = SharedTodoList()
    todo_id = await todos.add("write")
    for _ in range(MAX_TODO_ATTEMPTS - 1):
        await todos.claim(todo_id, "ann")
        await todos.release("ann")
    assert await todos.claim(todo_id, "ann")
    await todos.release("ann", "it is too hard")
    item = await todos.get(todo_id)
    assert item is not None
    assert (item.status, item.result) == ("failed", "it is too hard")
    assert not await todos.claim(todo_id, "bob")


async def test_removing_an_item_unblocks_what_waits_for_it() -> None:
    """T2: remove is False when there is nothing to remove."""
    todos = SharedTodoList()
    first = await todos.add("write")
    second = await todos.add("review", blocked_by=[first])
    assert await todos.remove(first)
    assert not await todos.remove(first)
    assert [item.id for item in await todos.get_available()] == [second]
    assert await todos.get(first) is None


async def test_completing_something_unknown_does_nothing() -> None:
    """T2: but a blocked item cannot be completed."""
    todos = SharedTodoList()
    await todos.complete("missing")
    first = await todos.add("write")
    second = await todos.add("review", blocked_by=[first])
    with pytest.raises(TodoRefused, match="still waits for"):
        await todos.complete(second)


async def test_a_list_holds_so_many_items_and_no_more() -> None:
    """T2: the limit of the list, at its edge; an item needs a text."""
    todos = SharedTodoList()
    with pytest.raises(TodoRefused, match="needs a text"):
        await todos.add("  ")
    for number in range(MAX_TODOS):
        await todos.add(f"step {number}")
    with pytest.raises(TodoRefused, match=f"at most {MAX_TODOS} items"):
        await todos.add("one more")
