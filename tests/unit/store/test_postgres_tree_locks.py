"""Whose turn it is on a tree."""

import asyncio

import pytest

from musterd.store.postgres.tree_locks import TreeLocks


async def enter(locks: TreeLocks, name: str, order: list[str], *roots: str, gate: asyncio.Event | None = None) -> None:
    """Hold trees until the gate opens, and note that they were held."""
    async with locks.hold(roots):
        order.append(name)
        if gate is not None:
            await gate.wait()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_wait_for_a_tree_come_in_their_order_and_pass_by_other_trees() -> None:
    """R3."""
    locks, gate, order = TreeLocks(), asyncio.Event(), list[str]()
    tasks = [asyncio.create_task(enter(locks, "first", order, "a", "b", gate=gate))]
    await settle()
    for name, roots in (("second", "a"), ("third", "ba"), ("elsewhere", "c"), ("fourth", "b")):
        tasks.append(asyncio.create_task(enter(locks, name, order, *roots)))
        await settle()
    assert order == ["first", "elsewhere"]
    gate.set()
    await asyncio.gather(*tasks)
    assert order[2:] in (["second", "third", "fourth"], ["second", "fourth", "third"])


@pytest.mark.parametrize("is_its_turn", [False, True])
async def test_who_stops_to_wait_keeps_nobody_else_waiting(is_its_turn: bool) -> None:
    """R3."""
    locks, gate, order = TreeLocks(), asyncio.Event(), list[str]()
    waiting: list[asyncio.Task[None]] = []

    async def go_first() -> None:
        await enter(locks, "first", order, "a", gate=gate)
        if is_its_turn:
            waiting[0].cancel()

    first = asyncio.create_task(go_first())
    await settle()
    waiting += [asyncio.create_task(enter(locks, name, order, "a")) for name in ("second", "third")]
    await settle()
    if not is_its_turn:
        waiting[0].cancel()
    gate.set()
    await asyncio.wait((first, *waiting))
    assert waiting[0].cancelled()
    assert order == ["first", "third"]


async def test_a_failure_lets_go_of_a_tree() -> None:
    """R3."""
    locks = TreeLocks()
    with pytest.raises(ValueError, match="no"):
        async with locks.hold(("a",)):
            raise ValueError("no")
    async with asyncio.timeout(5), locks.hold(("a",)):
        pass
