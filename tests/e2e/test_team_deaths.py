"""The server is killed while a team works, and started again: the team completes, and nothing is done twice."""

from collections import Counter
from pathlib import Path

from tests.e2e.reading import is_dense, log_of
from tests.e2e.shop import Shop, open_shop
from tests.support.actors import add_todo, delegate, id_of_todo
from tests.support.boards import FoldedBoard
from tests.support.followers import Follower
from tests.support.team_requests import LEADER, calling, said_in, todo_in, turn_of, who_asks

from musterd.testing.model import ChatRequest, Turn, call, gate, text
from musterd_client import MusterdClient, SubtaskEnded, TaskState, TodoStatus

SCOPES = "teams:run tasks:read"
STAGES = (
    {"saw": (), "sand": ()},
    {"glue": ("saw", "sand"), "paint": ("sand", "saw")},
    {"pack": ("glue", "paint")},
)
TODOS = [content for stage in STAGES for content in stage]


def answer(request: ChatRequest) -> Turn:
    return plan(request) if who_asks(request) == LEADER else work(request)


def plan(request: ChatRequest) -> Turn:
    turn = turn_of(request)
    if turn > len(STAGES):
        return text("planned" if turn == len(STAGES) + 1 else said_in(request)[-1])
    contents = [content for stage in STAGES[: turn - 1] for content in stage]
    returned = [message.text for message in request.messages if message.role == "tool"]
    ids = dict(zip(contents, map(id_of_todo, returned), strict=True))
    stage = STAGES[turn - 1].items()
    return calling(*(add_todo(content, *(ids[each] for each in blockers)) for content, blockers in stage))


def work(request: ChatRequest) -> Turn:
    """Build, then say so; the second stage says it only when the test lets go."""
    content = todo_in(request)
    if turn_of(request) == 1:
        return call("build", {"what": content}, id="build")
    done = text(f"{content} is done")
    return gate("second stage") + done if content in STAGES[1] else done


def client_of(shop: Shop) -> MusterdClient:
    return shop.client(shop.token(scope=SCOPES))


async def test_a_team_whose_server_dies_while_two_work_does_each_todo_once(folder: Path) -> None:
    """R3, T1, T2, T7: what was done before is not done again, and those at work go on where they were."""
    async with (
        open_shop(folder, answer) as shop,
        client_of(shop) as client,
        shop.serving("workshop:app") as first_life,
        Follower(client.run_team("workshop", "a chair")) as follower,
    ):
        await shop.model.reached("second stage", times=2)
        task_id = await follower.task_id()
        before = await client.teams.board(task_id)
        await first_life.kill()
        shop.model.release("second stage")
        async with shop.serving("workshop:app"):
            followed = await follower.ended()
            log = await log_of(client, task_id)
            board = await client.teams.board(task_id)
            task = await client.tasks.status(task_id)
        shop.model.assert_exhausted()
        asked = Counter((todo_in(each) or LEADER, turn_of(each)) for each in shop.model.requests)

    done = {todo.content for todo in before.todos if todo.status is TodoStatus.COMPLETED}
    assert done == set(STAGES[0])
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)
    assert is_dense(log)
    assert followed == log
    folded = FoldedBoard.of(task_id, log)
    folded.assert_is(board)
    assert sorted(folded.completions) == sorted(TODOS)
    assert [(todo.status, todo.attempts) for todo in board.todos] == [(TodoStatus.COMPLETED, 1)] * len(TODOS)
    # Tools ran once each; of the model only what was cut off was asked again.
    assert Counter(shop.ledger()) == Counter(f"{content} {what}" for content in TODOS for what in ("begins", "ends"))
    again = {(content, 2): 2 for content in STAGES[1]}
    of_members = {(content, turn): 1 for content in TODOS for turn in (1, 2)}
    assert asked == {(LEADER, turn): 1 for turn in range(1, len(STAGES) + 3)} | of_members | again
    attempts = Counter(turn.attempt for member in board.members for turn in member.tasks)
    assert attempts == {1: 3, 2: 2}
    assert task.output is not None
    assert all(f"{content} [completed]: {content} is done" in task.output.text for content in TODOS)


async def test_a_todo_whose_tool_was_cut_off_goes_to_a_turn_of_its_own(folder: Path) -> None:
    """R3, T2: the turn of the claimant that died is over, its todo free again, and done."""

    def heavy(request: ChatRequest) -> Turn:
        if who_asks(request) == LEADER:
            return [calling(add_todo("heavy")), text("planned"), text("done")][turn_of(request) - 1]
        return call("build", {"what": todo_in(request)}, id="build") if turn_of(request) == 1 else text("lifted")

    async with (
        open_shop(folder, heavy) as shop,
        client_of(shop) as client,
        shop.serving("workshop:app") as first_life,
        Follower(client.run_team("workshop", "lift")) as follower,
    ):
        await shop.gates.reached("heavy")
        await first_life.kill()
        shop.gates.release("heavy")
        async with shop.serving("workshop:app"):
            log = await follower.ended()
            task_id = log[0].task_id
            board = await client.teams.board(task_id)
        shop.model.assert_exhausted()
    (todo,) = board.todos
    assert (todo.status, todo.attempts, todo.result) == (TodoStatus.COMPLETED, 2, "lifted")
    FoldedBoard.of(task_id, log).assert_is(board)
    turns = [turn for member in board.members for turn in member.tasks]
    assert Counter(turn.state for turn in turns) == {TaskState.FAILED: 1, TaskState.COMPLETED: 1}
    (lost,) = [turn.error for turn in turns if turn.error is not None]
    assert (lost.reason, lost.cause) == ("TASK_LOST", "TOOL_NOT_REPEATABLE")
    assert shop.ledger() == ["heavy begins", "heavy begins", "heavy ends"]


async def test_a_leader_that_waits_for_members_finds_them_again(folder: Path) -> None:
    """R3, T1: one has ended before its server died, the other ends after it."""

    def coordinate(request: ChatRequest) -> Turn:
        if who_asks(request) == LEADER:
            if turn_of(request) == 1:
                return calling(delegate("ann", "quick"), delegate("bob", "slow"))
            return text(" and ".join(message.text for message in request.messages if message.role == "tool"))
        name = who_asks(request)
        return gate("slow") + text(f"{name} is done") if name == "bob" else text(f"{name} is done")

    async with (
        open_shop(folder, coordinate) as shop,
        client_of(shop) as client,
        shop.serving("workshop:app") as first_life,
        Follower(client.run_team("office", "go")) as follower,
    ):
        await shop.model.reached("slow")
        await follower.seen(lambda event: isinstance(event, SubtaskEnded))
        await first_life.kill()
        shop.model.release("slow")
        async with shop.serving("workshop:app"):
            log = await follower.ended()
            task = await client.tasks.status(log[0].task_id)
        shop.model.assert_exhausted()
        asked = Counter(map(who_asks, shop.model.requests))
    assert task.output is not None
    assert task.output.text == "ann is done and bob is done"
    assert is_dense(log)
    assert asked == {LEADER: 2, "ann": 1, "bob": 2}
    assert Counter(event.kind for event in log)["subtask_started"] == 2
