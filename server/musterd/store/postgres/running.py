"""How many tasks of a group run, in all processes, and one who counts and adds to them at a time."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from musterd.domain.queueing import Group
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.statements import load_statement

_LOCK_GROUPS = load_statement("lock_groups")
_TRY_LOCK_GROUPS = load_statement("try_lock_groups")
_COUNT_RUNNING = load_statement("count_running")

# What separates the parts of a group's name.
_SEPARATOR = "\x1f"


async def lock_groups(connection: Connection, groups: Iterable[Group]) -> None:
    """Keep all others from adding to groups until the transaction ends.

    Once in a transaction and after all rows that it waits for: so no two wait for each other.
    """
    await connection.execute(_LOCK_GROUPS, [_SEPARATOR.join(group) for group in groups])


async def try_lock_groups(connection: Connection, groups: Iterable[Group]) -> Collection[Group]:
    """Lock the groups that nobody has locked, without waiting, and return them."""
    names = {_SEPARATOR.join(group): group for group in groups}
    return [names[row["name"]] for row in await connection.fetch(_TRY_LOCK_GROUPS, list(names))]


async def count_running(
    connection: Connection, groups: Collection[Group], *, also_of: str | None = None, not_of: str | None = None
) -> Mapping[Group, int]:
    """Return how many tasks of living owners run in groups.

    One owner counts as living whatever is known of it, or is left out.
    """
    tenants, users, trees = (_ids_of(kind, groups) for kind in ("tenant", "user", "tree"))
    row = await connection.fetchrow(
        _COUNT_RUNNING,
        [tenant_id for (tenant_id,) in tenants],
        [tenant_id for tenant_id, _ in users],
        [user_id for _, user_id in users],
        [root_task_id for (root_task_id,) in trees],
        also_of,
        not_of,
    )
    if row is None:
        return {}
    counted = (("tenant", tenants), ("user", users), ("tree", trees))
    return {(kind, *ids): count for kind, members in counted for ids, count in zip(members, row[kind], strict=True)}


def _ids_of(kind: str, groups: Iterable[Group]) -> Sequence[Sequence[str]]:
    return [group[1:] for group in groups if group[0] == kind]
