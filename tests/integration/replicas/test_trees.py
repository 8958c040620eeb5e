"""Trees whose tasks run on several servers: questions, boards, messages and ends cross from one to the other."""

from tests.integration.replicas.conftest import Serve
from tests.integration.replicas.served import Replicas
from tests.support.actors import Actor, Answer, Reading, add_todo, delegate, saying, steps, what_came
from tests.support.followers import Follower
from tests.support.gated_model import Gate
from tests.support.stage import Stage, ask, at, do, task, wait
from tests.support.trees import children_of, endings_in, log_of, tree_of

from musterd import Musterd, Team
from musterd_client import (
    CancelMode,
    QuestionAsked,
    SubtaskStarted,
    TaskCanceled,
    TaskState,
    TeamMessageSent,
    TodoStatus,
)

ONE_SLOT = {"max_running_tasks": 1}
"""So that each server runs one task, and a child goes to another one than its parent."""


async def begin(replicas: Replicas, plan: str) -> str:
    """Give the boss a plan on the first server, and return the id of its task."""
    async with replicas[0].client.run_agent("boss", plan, background=True) as run:
        return run.task.task_id


async def test_children_run_on_other_servers_than_their_parent(serve: Serve) -> None:
    """S13, R9: and their results come back."""
    stage = Stage()
    first, second = do(at("first"), "one"), do(at("second"), "two")
    plan = do([task(first), task(second)], at("boss"), wait("@0", "@1"))
    async with serve(stage.app(), runtime=ONE_SLOT) as replicas:
        root = await begin(replicas, plan)
        for gate in ("first", "second"):
            await stage.gates[gate].reached.wait()
        children = await children_of(replicas[1].client, root)
        runners = {await replicas.runner_of(child.task_id) for child in children.values()}
        assert runners == {1, 2}
        for gate in ("boss", "first", "second"):
            stage.gates[gate].open()
        log = await log_of(replicas[2].client, root)
        tree = await tree_of(replicas[1].client, root)
    assert {each.state for each in tree} == {TaskState.COMPLETED}
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert endings_in(log) == {each.task_id: 1 for each in tree}
    output = next(each.output for each in tree if each.is_root)
    assert output is not None
    assert "one" in output.text
    assert "two" in output.text


async def test_a_follower_where_the_root_runs_sees_what_its_child_does_elsewhere(serve: Serve) -> None:
    """R3, S13: before the child has ended."""
    stage = Stage()
    plan = do(task(do(at("child"), "one")), at("boss"), wait("@0"))
    async with serve(stage.app(), runtime=ONE_SLOT) as replicas:
        root = await begin(replicas, plan)
        await stage.gates["child"].reached.wait()
        async with Follower(replicas[0].client.tasks.watch(root)) as follower:
            told = await follower.seen(lambda event: isinstance(event, SubtaskStarted))
            assert isinstance(told, SubtaskStarted)
            await follower.seen(lambda event: event.task_id == told.subtask_id)
            stage.gates["child"].open()
            await follower.seen(lambda event: event.task_id == told.subtask_id and event.kind == "task_completed")
            stage.gates["boss"].open()
            await follower.ended()


async def test_a_question_is_answered_on_another_server(serve: Serve) -> None:
    """R7: and the wait of a third returned because somebody is needed."""
    stage = Stage()
    plan = do(task(do(ask("which?"), "thanks")), wait("@0"), at("boss"), wait("@0"))
    async with serve(stage.app()) as replicas:
        root = await begin(replicas, plan)
        async with Follower(replicas[2].client.tasks.watch(root)) as follower:
            asked = await follower.seen(lambda event: isinstance(event, QuestionAsked))
            waited = await replicas[2].client.tasks.wait([asked.task_id], timeout_seconds=60)
            assert waited.input_required_task_ids == (asked.task_id,)
            other = await replicas.other_than(asked.task_id)
            answered = await other.client.tasks.answer(asked.task_id, "the red one")
            stage.gates["boss"].open()
            await follower.ended()
        child = await replicas[1].client.tasks.status(asked.task_id)
    assert answered.state is TaskState.WORKING
    assert child.state is TaskState.COMPLETED


async def test_a_cancel_on_a_third_server_ends_a_tree_that_runs_on_two(serve: Serve) -> None:
    """R5, S9: the children before their parent, each once."""
    stage = Stage()
    plan = do(task(do(at("child"), "one")), at("boss"), wait("@0"))
    async with serve(stage.app(), runtime=ONE_SLOT) as replicas:
        root = await begin(replicas, plan)
        await stage.gates["child"].reached.wait()
        (child,) = (await children_of(replicas[0].client, root)).values()
        third = replicas[3 - await replicas.runner_of(child.task_id)]
        canceled = await third.client.tasks.cancel(root, mode=CancelMode.HARD)
        log = await log_of(third.client, root)
    assert canceled.task.state is TaskState.CANCELED
    assert endings_in(log) == {root: 1, child.task_id: 1}
    endings = [event.task_id for event in log if isinstance(event, TaskCanceled)]
    assert endings == [child.task_id, root]


async def test_the_board_of_a_team_is_shared_by_every_server(serve: Serve) -> None:
    """T2, T7: what is put on the list elsewhere is there for the team, and the other way round."""
    gate = Gate()

    async def list_after(reading: Reading) -> Answer:
        await gate.wait()
        return [("list_team_todos", {})]

    leader = steps([add_todo("from the team")], list_after, what_came)
    team = Team("press", [saying("written").member("writer")], model=leader.model)
    async with serve(Musterd(teams=[team])) as replicas:
        async with replicas[0].client.run_team("press", "go", background=True) as run:
            team_id = run.task.task_id
        await gate.reached.wait()
        added = await replicas[1].client.teams.add_todo(team_id, "from outside")
        board = await replicas[2].client.teams.board(team_id)
        assert [todo.content for todo in board.todos] == ["from the team", "from outside"]
        gate.open()
        result = await replicas[2].client.tasks.watch(team_id).result()
    assert added.status is TodoStatus.PENDING
    assert "from outside" in result.text


async def test_a_message_reaches_a_member_that_runs_on_another_server(serve: Serve) -> None:
    """T3, T7: in its next request, though the team, the member and the call are on three servers."""
    gate, going = Gate(), Gate()

    async def pause() -> str:
        await going.wait()
        return "paused"

    async def hold(reading: Reading) -> Answer:
        await gate.wait()
        return [("pause", {})]

    async def heard(reading: Reading) -> Answer:
        return " | ".join(reading.prompts)

    writer = steps(hold, heard)
    leader = steps([delegate("writer", "write it")], what_came)
    team = Team("press", [writer.member("writer", "", pause)], model=leader.model)
    async with serve(Musterd(teams=[team]), runtime=ONE_SLOT) as replicas:
        async with replicas[0].client.run_team("press", "go", background=True) as run:
            team_id = run.task.task_id
        await gate.reached.wait()
        (turn,) = (await replicas[0].client.teams.board(team_id)).members[0].tasks
        other = await replicas.other_than(turn.task_id)
        runner = replicas[await replicas.runner_of(turn.task_id)]
        sent = await other.client.teams.send_message(team_id, "make it short", receiver="writer")
        await runner.has_read_order(turn.task_id)
        gate.open()
        going.open()
        log = await log_of(replicas[2].client, team_id)
        done = await replicas[1].client.tasks.status(turn.task_id)
    assert done.output is not None
    assert "make it short" in done.output.text
    assert [event.message for event in log if isinstance(event, TeamMessageSent)] == [sent]


async def test_a_team_that_works_off_its_list_takes_what_another_server_put_there(serve: Serve) -> None:
    """T6, T7: while all that it does itself is to wait."""
    gate, second = Gate(), Gate()

    async def work(reading: Reading) -> Answer:
        is_first = "first" in reading.prompts[0]
        await (gate if is_first else second).wait()
        return "done"

    members = [Actor(work).member(name) for name in ("ada", "bob")]
    leader = steps([add_todo("first")], "planned", "all done")
    team = Team("press", members, model=leader.model, mode="tasks")
    async with serve(Musterd(teams=[team])) as replicas:
        async with replicas[0].client.run_team("press", "go", background=True) as run:
            team_id = run.task.task_id
        await gate.reached.wait()
        await replicas[1].client.teams.add_todo(team_id, "another")
        await second.reached.wait()
        gate.open()
        second.open()
        result = await replicas[2].client.tasks.watch(team_id).result()
    assert result.task.state is TaskState.COMPLETED
