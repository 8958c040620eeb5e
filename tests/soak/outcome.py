"""What came of a soak: what was lost or wrong, and figures."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import linear_regression

from tests.soak.replicas import Memory, Mill

from musterd.store.postgres.connection import Database

WARM_RUNS = 5_000
"""After so many the memory of a replica is to stay as it is: pools, caches and code are there."""

GROWTH_MAX_BYTES = 500_000
"""In 1,000 runs of a warm replica."""

SHOWN_MAX = 20

STATES = "SELECT state, count(*) AS tasks, sum(attempt - 1)::bigint AS takeovers FROM task GROUP BY state"
TASK_IDS = "SELECT task_id FROM task"
NOT_ENDED_ONCE = """
    SELECT task.task_id, count(event.task) AS endings
    FROM task LEFT JOIN event
        ON event.task = task.number AND event.kind IN ('task_completed', 'task_failed', 'task_canceled')
    GROUP BY task.task_id HAVING count(event.task) <> 1
"""
WITH_GAPS = """
    SELECT tree.root_task_id
    FROM tree LEFT JOIN event ON event.tree = tree.number
    GROUP BY tree.number
    HAVING (min(sequence), max(sequence), count(*)) IS DISTINCT FROM (1, tree.last_sequence, tree.last_sequence::bigint)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was wrong, one line each, and what is worth knowing anyway. Nothing wrong is what a soak is for."""

    wrong: Sequence[str]
    figures: Sequence[str]
    takeovers: int
    kills: int


async def read_outcome(
    mill: Mill, *, accepted: AbstractSet[str], runs: int, troubles: Sequence[str], kills: int, seconds: float
) -> Outcome:
    """Compare what callers were told with what is stored and with what the tools did."""
    connection = await Database(dsn=mill.dsn, schema=mill.schema).connect()
    try:
        states = await connection.fetch(STATES)
        stored: set[str] = {row["task_id"] for row in await connection.fetch(TASK_IDS)}
        endings = await connection.fetch(NOT_ENDED_ONCE)
        gaps = await connection.fetch(WITH_GAPS)
    finally:
        await connection.close()
    noted = Counter(mill.ledger_file.read_text().splitlines())
    counts = {row["state"]: row["tasks"] for row in states}
    takeovers = sum(row["takeovers"] for row in states)
    completed, repeated = counts.get("completed", 0), noted.total() - len(noted)
    missing = [name for name in (f"run {number}" for number in range(runs)) if not noted[name]]
    wrong = [
        *troubles,
        *([f"{runs} runs were asked for, {len(accepted)} accepted"] if len(accepted) != runs else []),
        *(f"{task_id} was accepted and is lost" for task_id in accepted - stored),
        *(f"{task_id} is stored, and nobody knows of it" for task_id in stored - accepted),
        *(f"{count} tasks are {state}" for state, count in counts.items() if state != "completed"),
        *(f"{row['task_id']} has {row['endings']} terminal events" for row in endings),
        *(f"the log of {row['root_task_id']} has gaps" for row in gaps),
        *(f"the tool of {name} never ran" for name in missing),
        *(f"{replica.name} grows" for replica in mill.replicas if (growth(replica.memory) or 0) > GROWTH_MAX_BYTES),
    ]
    figures = [
        f"{len(accepted)} runs accepted, {completed} completed in {seconds:.0f} s: {completed / seconds:.0f} a second",
        f"{kills} kills, after which {takeovers} runs went on elsewhere and {repeated} tool calls were made again",
        *(f"{replica.name}, life {replica.lives}: {_memory(replica.memory)}" for replica in mill.replicas),
    ]
    return Outcome(wrong=wrong, figures=figures, takeovers=takeovers, kills=kills)


def growth(memory: Memory) -> float | None:
    """Return by how many bytes a replica grew in 1,000 runs since it was warm; None when it was not for long enough."""
    warm = [(ended, size) for ended, size in memory if ended >= memory[0][0] + WARM_RUNS]
    return linear_regression(*zip(*warm, strict=True)).slope * 1_000 if len(warm) > 1 else None


def _memory(memory: Memory) -> str:
    if not memory:
        return "its memory was not looked at"
    begun = memory[0][0]
    course = ", ".join(f"{size / 1e6:.1f} MB after {ended - begun}" for ended, size in memory[:: len(memory) // 4 or 1])
    slope = growth(memory)
    growing = "too short to tell whether it grows" if slope is None else f"{slope / 1e3:+.0f} kB in 1,000"
    return f"{course} runs of all replicas; {growing}"
