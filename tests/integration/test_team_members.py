"""Members take part in their team: they share a todo list, and talk to each other while they work."""

from collections.abc import Sequence

from tests.support.actors import (
    Actor,
    Answer,
    Reading,
    add_todo,
    claim_todo,
    complete_todo,
    content_of_todo,
    delegate,
    id_of_todo,
    list_todos,
    saying,
    steps,
    tell,
    tell_all,
    what_came,
)
from tests.support.followers import Follower
from tests.support.gated_model import Gate

from musterd import Musterd, Team
from musterd.testing import serve
from musterd_client import (
    CancelMode,
    Steered,
    SubtaskStarted,
    TaskResult,
    TaskState,
    TeamBoard,
    TeamMessageSent,
    TodoChanged,
    TodoStatus,
)

TOOLS = [
    "list_team_todos",
    "add_team_todo",
    "claim_team_todo",
    "complete_team_todo",
    "send_team_message",
    "broadcast_team_message",
]


async def work_of(team: Team) -> tuple[TaskResult, TeamBoard]:
    """Run a team to its end, and return what it said and its board."""
    async with serve(Musterd(teams=[team])) as client:
        result = await client.run_team(team.name, "go").result()
        return result, await client.teams.board(result.task.task_id)


def heard(reading: Reading) -> Sequence[str]:
    """Return the messages in a request."""
    return [prompt for prompt in reading.prompts if prompt.startswith("[Message from ")]


async def test_a_member_works_with_the_todos_of_its_team() -> None:
    """T6: it reads them, takes one on, adds one, and completes both."""

    async def claim(reading: Reading) -> Answer:
        assert "[pending] sweep" in reading.returns[0]
        todo_id = reading.returns[0].removeprefix("- ").partition(" ")[0]
        return [claim_todo(todo_id), add_todo("dust", todo_id)]

    async def complete(reading: Reading) -> Answer:
        return [complete_todo(reading.returns[1].split("'")[1], "swept")]

    async def claim_other(reading: Reading) -> Answer:
        return [list_todos(), claim_todo(id_of_todo(reading.returns[2]))]

    async def complete_other(reading: Reading) -> Answer:
        assert "[completed] sweep (@ann)\n  Result: swept" in reading.returns[4]
        return [complete_todo(id_of_todo(reading.returns[2]), "dusted")]

    ann = steps([list_todos()], claim, complete, claim_other, complete_other, "clean")
    leader = steps([add_todo("sweep")], [delegate("ann", "clean")], what_came)
    team = Team("co", [ann.member("ann")], model=leader.model)
    result, board = await work_of(team)
    assert result.text.endswith("| clean")
    assert [(todo.content, todo.status, todo.assigned_to, todo.created_by, todo.result) for todo in board.todos] == [
        ("sweep", TodoStatus.COMPLETED, "ann", "leader", "swept"),
        ("dust", TodoStatus.COMPLETED, "ann", "ann", "dusted"),
    ]
    assert ann.readings[0].tools == [*TOOLS, "ask_parent"]
    assert leader.readings[0].tools == [*TOOLS, "delegate_to_member"]


async def test_a_member_is_told_why_it_cannot_have_a_todo() -> None:
    """T2, T6 (refusal): it is another's, blocked, done or not there; the leader may complete what others have."""

    async def refused(reading: Reading) -> Answer:
        first, second = (line.removeprefix("- ").partition(" ")[0] for line in reading.returns[0].splitlines())
        return [
            claim_todo(first),
            claim_todo(second),
            complete_todo(first, "x"),
            claim_todo("none"),
            add_todo("x", "y"),
        ]

    async def take(reading: Reading) -> Answer:
        return [claim_todo(reading.returns[0].removeprefix("- ").partition(" ")[0])]

    async def plan(reading: Reading) -> Answer:
        return [add_todo("second", id_of_todo(reading.returns[0]))]

    async def end(reading: Reading) -> Answer:
        return [complete_todo(id_of_todo(reading.returns[0]), "enough")]

    ann, bob = steps([list_todos()], take, "taken"), steps([list_todos()], refused, what_came)
    leader = steps([add_todo("first")], plan, [delegate("ann", "it")], [delegate("bob", "it")], end, what_came)
    _, board = await work_of(Team("co", [ann.member("ann"), bob.member("bob")], model=leader.model))
    first, second = board.todos
    assert bob.readings[-1].returns[1:] == [
        f"Error: todo '{first.todo_id}' is in_progress by 'ann' already",
        f"Error: todo '{second.todo_id}' still waits for {first.todo_id}",
        f"Error: todo '{first.todo_id}' belongs to 'ann'",
        "Error: there is no todo 'none'",
        "Error: there is no todo 'y' to wait for",
    ]
    assert (first.status, first.assigned_to, first.result) == (TodoStatus.COMPLETED, "ann", "enough")
    assert second.status is TodoStatus.PENDING


async def test_a_message_to_a_running_member_is_in_its_next_request() -> None:
    """T3, T6: once, and its log shows where."""
    is_told = Gate()

    async def look(_: Reading) -> Answer:
        await is_told.wait()
        return [list_todos()]

    async def speak(_: Reading) -> Answer:
        await is_told.reached.wait()
        return [tell("ann", "mind the step")]

    async def release(reading: Reading) -> Answer:
        is_told.open()
        return reading.returns[0]

    ann, bob = steps(look, "minded"), steps(speak, release)
    leader = steps([delegate("ann", "walk"), delegate("bob", "warn")], what_came)
    team = Team("co", [ann.member("ann"), bob.member("bob")], model=leader.model)
    async with serve(Musterd(teams=[team])) as client:
        async with client.run_team("co", "go") as run:
            events = [event async for event in run]
        board = await client.teams.board(run.task.task_id)
    assert run.text == "minded | Message sent to 'ann'"
    assert [list(heard(reading)) for reading in ann.readings] == [[], ["[Message from bob] mind the step"]]
    (message,) = board.messages
    assert (message.sender, message.receiver, message.content) == ("bob", "ann", "mind the step")
    assert [event.message for event in events if isinstance(event, TeamMessageSent)] == [message]
    (steered,) = [event for event in events if isinstance(event, Steered)]
    assert (steered.component.id, steered.step) == ("ann", 2)


async def test_messages_to_an_idle_member_come_with_its_next_turn() -> None:
    """T3, T6: in order, in its first request, and never again."""
    ann = saying("heard")
    bob = steps([tell("ann", "one"), tell("ann", "two")], "told")
    leader = steps([delegate("bob", "tell")], [delegate("ann", "first")], [delegate("ann", "second")], what_came)
    await work_of(Team("co", [ann.member("ann"), bob.member("bob")], model=leader.model))
    assert [list(heard(reading)) for reading in ann.readings] == [
        ["[Message from bob] one", "[Message from bob] two"],
        [],
    ]


async def test_a_message_that_a_turn_ended_without_reading_goes_to_the_one_that_runs_beside_it() -> None:
    """T6: at once."""
    gates = {task: Gate() for task in ("one", "two")}

    async def work(reading: Reading) -> Answer:
        await gates[reading.prompts[0]].wait()
        return [list_todos()]

    ann, leader = steps(work, "heard"), steps([delegate("ann", task) for task in gates], what_came)
    async with (
        serve(Musterd(teams=[Team("co", [ann.member("ann")], model=leader.model)])) as client,
        Follower(run := client.run_team("co", "go")) as follower,
    ):
        for gate in gates.values():
            await gate.reached.wait()
        turns = [task async for task in client.tasks.list(parent_task_id=run.task.task_id)]
        older = min(turns, key=lambda task: (task.create_time, task.task_id))
        await client.teams.send_message(run.task.task_id, "mind the step", receiver="ann")
        await client.tasks.cancel(older.task_id, mode=CancelMode.HARD)
        for gate in gates.values():
            gate.open()
        await follower.ended()
    assert [list(heard(reading)) for reading in ann.readings] == [[], [], ["[Message from user:] mind the step"]]
    (steered,) = [event for event in follower.events if isinstance(event, Steered)]
    assert steered.task_id != older.task_id


async def test_a_broadcast_reaches_all_but_its_sender() -> None:
    """T3, T6: the leader and the idle members too."""
    ann, bob, carl = steps([tell_all("hello")], "sent"), saying("b"), saying("c")
    leader = steps([delegate("ann", "greet")], [delegate(name, "it") for name in ("ann", "bob", "carl")], what_came)
    team = Team("co", [actor.member(name) for actor, name in ((ann, "ann"), (bob, "bob"), (carl, "carl"))])
    team.model = leader.model
    _, board = await work_of(team)
    expected = "[Message from ann] hello"
    assert heard(leader.readings[1]) == heard(bob.readings[0]) == heard(carl.readings[0]) == [expected]
    # Its second turn says hello once more, and hears nothing of itself.
    assert not any(heard(reading) for reading in ann.readings)
    assert [(message.sender, message.receiver) for message in board.messages] == [("ann", "")] * 2


async def test_a_message_for_a_stranger_is_refused_with_who_is_there() -> None:
    """T3, T6 (refusal)."""
    ann = steps([tell("bob", "psst"), tell("", "psst"), tell("leader", " ")], what_came)
    leader = steps([delegate("ann", "it")], what_came)
    result, board = await work_of(Team("co", [ann.member("ann")], model=leader.model))
    assert result.text == (
        "Error: there is no 'bob' in the team; there are leader, ann | "
        "Error: Name a receiver. To reach all, use broadcast_team_message. | "
        "Error: a message needs a text"
    )
    assert board.messages == ()


async def test_members_of_a_nested_team_share_its_board_alone() -> None:
    """T6: and know nobody above it; its leader is reached under its own name."""
    ann = steps([tell("out", "hi"), tell("leader", "hi"), add_todo("inner todo")], what_came)
    inner_leader = steps([delegate("ann", "it")], what_came)
    out = steps([tell("inner", "hello inside")], "told")
    leader = steps([delegate("out", "it")], [delegate("inner", "it")], what_came)
    inner = Team("inner", [ann.member("ann")], model=inner_leader.model)
    result, board = await work_of(Team("outer", [out.member("out"), inner], model=leader.model))
    assert "there is no 'out' in the team; there are leader, ann" in result.text
    assert heard(inner_leader.readings[0]) == ["[Message from out] hello inside"]
    assert heard(inner_leader.readings[1]) == ["[Message from out] hello inside", "[Message from ann] hi"]
    assert (len(board.todos), len(board.messages)) == (0, 1)


async def test_a_todo_that_a_member_adds_is_done_in_the_same_round() -> None:
    """T1, T6: in mode tasks."""

    async def work(reading: Reading) -> Answer:
        content = content_of_todo(reading.prompts[0])
        return [add_todo("also this")] if content == "this" and reading.turn == 1 else f"did {content}"

    async def lead(reading: Reading) -> Answer:
        return [[add_todo("this")], "planned", reading.prompts[-1]][reading.turn - 1]

    result, board = await work_of(Team("ta", [Actor(work).member("ann")], model=Actor(lead).model, mode="tasks"))
    assert [(todo.content, todo.created_by, todo.result) for todo in board.todos] == [
        ("this", "leader", "did this"),
        ("also this", "ann", "did also this"),
    ]
    assert result.text.count("[completed]") == 2


async def test_a_member_that_takes_on_a_second_todo_and_leaves_it_gets_a_turn_for_it() -> None:
    """T2, T6: in mode tasks; no other one gets it."""

    async def work(reading: Reading) -> Answer:
        content = content_of_todo(reading.prompts[0])
        match content, reading.turn:
            case "one", 1:
                return [list_todos()]
            case "one", 2:
                line = next(line for line in reading.returns[0].splitlines() if "two" in line)
                return [claim_todo(line.removeprefix("- ").partition(" ")[0])]
            case _:
                return f"did {content}"

    async def lead(reading: Reading) -> Answer:
        return [[add_todo("one"), add_todo("two")], "planned", "done"][reading.turn - 1]

    ann = Actor(work)
    _, board = await work_of(Team("ta", [ann.member("ann")], model=Actor(lead).model, mode="tasks"))
    assert [(todo.content, todo.result, todo.attempts) for todo in board.todos] == [
        ("one", "did one", 1),
        ("two", "did two", 1),
    ]
    assert len(ann.readings) == 4


class Studio:
    """A team in mode tasks: the leader plans one todo, and ann waits at a gate before it looks at the list."""

    def __init__(self) -> None:
        self.before = Gate()
        self.ann = Actor(self._work)
        self.leader = Actor(self._lead)

    @property
    def app(self) -> Musterd:
        members = [self.ann.member("ann", "paints"), Actor(self._work).member("bob", "frames")]
        return Musterd(teams=[Team("studio", members, model=self.leader.model, mode="tasks")])

    async def _work(self, reading: Reading) -> Answer:
        if content_of_todo(reading.prompts[0]) == "paint" and reading.turn == 1:
            await self.before.wait()
            return [list_todos()]
        return f"did {content_of_todo(reading.prompts[0])}"

    async def _lead(self, reading: Reading) -> Answer:
        if reading.turn == 1:
            return [add_todo("paint")]
        return "planned" if reading.turn == 2 else reading.prompts[-1]


async def test_a_message_from_outside_is_in_the_next_request_of_a_running_member() -> None:
    """T7: in the name of the user."""
    studio = Studio()
    async with serve(studio.app) as client, Follower(client.run_team("studio", "a picture")) as follower:
        await studio.before.reached.wait()
        task_id = (await follower.seen(lambda event: event.kind == "task_started")).task_id
        sent = await client.teams.send_message(task_id, "more blue", receiver="ann")
        studio.before.open()
        events = await follower.ended()
        board = await client.teams.board(task_id)
    assert [list(heard(reading)) for reading in studio.ann.readings] == [
        [],
        [f"[Message from {sent.sender}] more blue"],
    ]
    assert sent.sender.startswith("user:")
    assert board.messages == (sent,)
    assert [event.message for event in events if isinstance(event, TeamMessageSent)] == [sent]


async def test_a_todo_from_outside_is_done_in_the_run_that_it_came_into() -> None:
    """T7: in mode tasks; by whoever is free, and the leader hears of it."""
    studio = Studio()
    async with serve(studio.app) as client, Follower(client.run_team("studio", "a picture")) as follower:
        await studio.before.reached.wait()
        task_id = (await follower.seen(lambda event: event.kind == "task_started")).task_id
        added = await client.teams.add_todo(task_id, "frame it")
        await follower.seen(
            lambda event: (
                isinstance(event, TodoChanged)
                and event.todo.todo_id == added.todo_id
                and event.todo.status is TodoStatus.COMPLETED
            )
        )
        studio.before.open()
        await follower.ended()
        board = await client.teams.board(task_id)
    assert [(todo.content, todo.created_by, todo.assigned_to) for todo in board.todos] == [
        ("paint", "leader", "ann"),
        ("frame it", added.created_by, "bob"),
    ]
    assert all(f"{content} [completed]" in studio.leader.readings[-1].prompts[-1] for content in ("paint", "frame it"))


async def test_a_board_shows_the_turns_of_members_during_a_run_and_after_it() -> None:
    """T7: in mode tasks."""
    studio = Studio()
    async with serve(studio.app) as client, Follower(client.run_team("studio", "a picture")) as follower:
        await studio.before.reached.wait()
        turn = await follower.seen(lambda event: isinstance(event, SubtaskStarted))
        assert isinstance(turn, SubtaskStarted)
        during = await client.teams.board(turn.task_id)
        studio.before.open()
        await follower.ended()
        after = await client.teams.board(turn.task_id)
    assert (during.team, [(member.name, member.description) for member in during.members]) == (
        "studio",
        [("ann", "paints"), ("bob", "frames")],
    )
    for board, state, status in (
        (during, TaskState.WORKING, TodoStatus.IN_PROGRESS),
        (after, TaskState.COMPLETED, TodoStatus.COMPLETED),
    ):
        (todo,) = board.todos
        assert (todo.status, todo.assigned_to, todo.attempts) == (status, "ann", 1)
        assert [(task.task_id, task.state) for task in board.members[0].tasks] == [(turn.subtask_id, state)]
        assert board.members[1].tasks == ()
