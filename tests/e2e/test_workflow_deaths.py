"""The server is killed while a workflow is at work, and started again: it completes, and nothing is done twice."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.reading import is_dense, log_of
from tests.e2e.shop import Shop, open_shop
from tests.support.followers import Follower

from musterd.testing.model import ChatRequest, Turn, gate, text
from musterd_client import Event, LoopTurned, MusterdClient, StepCompleted, StepStarted, TaskState

SCOPES = "workflows:run tasks:read"


def client_of(shop: Shop) -> MusterdClient:
    return shop.client(shop.token(scope=SCOPES))


def places(log: Sequence[Event], kind: type[StepStarted | StepCompleted]) -> Counter[str]:
    return Counter(f"{event.place.name} {event.place.iteration}" for event in log if isinstance(event, kind))


async def test_a_workflow_whose_server_dies_amid_parallel_steps_repeats_none_that_was_done(folder: Path) -> None:
    """R3, W1, W2: one branch is at its agent, the other in a function that may run again."""

    def answer(request: ChatRequest) -> Turn:
        return gate("writing") + text("an article")

    async with (
        open_shop(folder, answer) as shop,
        client_of(shop) as client,
        shop.serving("press:app") as first_life,
        Follower(client.run_workflow("issue", "may")) as follower,
    ):
        await shop.model.reached("writing")
        await shop.gates.reached("photo")
        await first_life.kill()
        shop.model.release("writing")
        shop.gates.release("photo")
        async with shop.serving("press:app"):
            followed = await follower.ended()
            log = await log_of(client, followed[0].task_id)
            task = await client.tasks.status(followed[0].task_id)
            (writer,) = [each async for each in client.tasks.list(parent_task_id=task.task_id)]
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)
    assert task.output is not None
    assert task.output.text == "printed: article:\nan article\n\nphoto:\na photo"
    assert is_dense(log)
    assert followed == log
    ledger = shop.ledger()
    assert (ledger[-1], Counter(ledger)) == ("print", {"layout": 1, "photo begins": 2, "photo ends": 1, "print": 1})
    assert (writer.component.id, writer.attempt) == ("writer", 2)
    assert set(places(log, StepStarted).values()) == set(places(log, StepCompleted).values()) == {1}


async def test_a_workflow_whose_server_dies_in_the_third_turn_of_a_loop_goes_on_there(folder: Path) -> None:
    """R3, W1, W2: the turns before are not taken again, nor is what was done in this one."""

    def answer(request: ChatRequest) -> Turn:
        said = text("not yet")
        return gate("third") + said if "draft 3" in request.prompt else said

    async with (
        open_shop(folder, answer) as shop,
        client_of(shop) as client,
        shop.serving("press:app") as first_life,
        Follower(client.run_workflow("revisions", "a poem")) as follower,
    ):
        await shop.model.reached("third")
        await first_life.kill()
        shop.model.release("third")
        async with shop.serving("press:app"):
            followed = await follower.ended()
            log = await log_of(client, followed[0].task_id)
            task = await client.tasks.status(followed[0].task_id)
            critics = [each async for each in client.tasks.list(parent_task_id=task.task_id)]
        asked = Counter(request.prompt.rpartition("\n")[2] for request in shop.model.requests)
    assert (task.state, task.attempt) == (TaskState.COMPLETED, 2)
    assert is_dense(log)
    assert followed == log
    assert shop.ledger() == ["draft 1", "draft 2", "draft 3", "draft 4", "print"]
    # Of the model only what was cut off was asked again, in the same task.
    assert asked == {"draft 1": 1, "draft 2": 1, "draft 3": 2, "draft 4": 1}
    assert [each.attempt for each in reversed(critics)] == [1, 1, 2, 1]
    turns = [(event.turn, event.will_continue) for event in log if isinstance(event, LoopTurned)]
    assert turns == [(1, True), (2, True), (3, True), (4, False)]
    assert set(places(log, StepStarted).values()) == set(places(log, StepCompleted).values()) == {1}
