"""What an agent and the team that it puts together do, wherever they run."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Agent, AgentRunResult, RunContext
from pydantic_ai.capabilities import AbstractCapability, WrapRunHandler
from pydantic_ai.toolsets import AbstractToolset
from tests.support.gated_model import Gate
from tests.support.scripts import Call, Script, Turn, Until

from musterd.subagents import DynamicAgentRegistry, SubAgentConfig
from musterd.teams import create_team_toolset

RunParent = Callable[[Agent[Any, str], str], Awaitable[str]]
"""Runs an agent with a prompt, and returns its text."""


class Ended(AbstractCapability[Any]):
    """Tells when a member's run has ended, and whether it was canceled."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.was_canceled = False

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        try:
            return await handler()
        except asyncio.CancelledError:
            self.was_canceled = True
            raise
        finally:
            self.event.set()


@dataclass
class Crew:
    """Members by name, each with its script, as an agent_factory."""

    scripts: dict[str, Script]
    ended: dict[str, Ended] = field(default_factory=dict[str, Ended])
    configs: list[SubAgentConfig] = field(default_factory=list[SubAgentConfig])

    @classmethod
    def of(cls, **turns: Sequence[Turn]) -> "Crew":
        return cls({name: Script(*each) for name, each in turns.items()}, {name: Ended() for name in turns})

    def build(self, config: SubAgentConfig) -> Agent[Any, str]:
        self.configs.append(config)
        name = config["name"]
        if name not in self.scripts:
            raise ValueError(f"nobody is called {name}")
        return Agent(
            self.scripts[name].model,
            name=name,
            instructions=config["instructions"],
            capabilities=[self.ended[name]],
            deps_type=object,
        )


def spawn(*names: str, team: str = "crew") -> Call:
    return "spawn_team", {"team_name": team, "members": [{"name": name, "role": "worker"} for name in names]}


def assign(name: str, what: str) -> Call:
    return "assign_task", {"member_name": name, "task_description": what}


def tell(name: str, what: str) -> Call:
    return "message_teammate", {"member_name": name, "message": what}


def until(*words: str) -> Until:
    return Until("check_teammates", lambda text: all(word in text for word in words))


CHECK: Call = ("check_teammates", {})
DISSOLVE: Call = ("dissolve_team", {})
TODOS: Call = ("list_todos", {})
TEAM_TODOS: Call = ("list_team_todos", {})


def todo_id_in(text: str) -> str:
    found = re.search(r"\(todo: ([0-9a-f-]{36})\)|\(ID: ([0-9a-f-]{36})\)", text)
    assert found is not None, text
    return found[1] or found[2]


def lead(script: Script, toolset: AbstractToolset[Any]) -> Agent[Any, str]:
    return Agent(script.model, name="lead", toolsets=[toolset], deps_type=object)


class TeamToolsetBehaviour:
    """Needs a fixture `run_parent`: a RunParent."""

    async def run(self, run_parent: RunParent, crew: Crew, *turns: Turn, **options: Any) -> list[str]:
        """Run a leader with these turns, and return what its tools gave."""
        script = Script(*turns, "done")
        toolset = create_team_toolset(agent_factory=crew.build, **options)
        assert await run_parent(lead(script, toolset), "go") == "done"
        return script.returned_to()

    async def test_a_team_is_spawned_given_work_and_dissolved(self, run_parent: RunParent) -> None:
        """T5: members run at once while their leader goes on, and what they say is on the board."""
        crew = Crew.of(ann=["a page"], bob=["a picture"])
        texts = await self.run(
            run_parent,
            crew,
            spawn("ann", "bob"),
            assign("ann", "write"),
            assign("bob", "draw"),
            crew.ended["ann"].event,
            crew.ended["bob"].event,
            until("ann: completed", "bob: completed"),
            DISSOLVE,
            CHECK,
        )
        assert texts[0] == "Team 'crew' created with 2 members:\n- ann\n- bob"
        assert re.fullmatch(
            r"Task assigned to 'ann' \(todo: \S{36}\)\. Agent running in background\.\nTask ID: \S{36}", texts[1]
        )
        status = texts[-3]
        assert status.startswith(
            "Team 'crew' status:\n\nMembers:\n- ann: completed\n  Result: a page\n- bob: completed"
        )
        assert "[completed] write (@ann)\n  Result: a page" in status
        assert texts[-2:] == ["Team 'crew' dissolved.", "No team is active."]
        assert crew.scripts["ann"].said_to() == ["write"]
        assert "You are 'ann' in the team 'crew', as its worker." in crew.scripts["ann"].instructions[0]
        assert crew.configs[0]["description"].startswith("[Team crew]")

    async def test_a_leader_without_a_team_is_told_to_spawn_one(self, run_parent: RunParent) -> None:
        """T5 (refusal): each tool has its text for it."""
        texts = await self.run(
            run_parent,
            Crew.of(),
            assign("ann", "write"),
            tell("ann", "hello"),
            TODOS,
            ("add_todo", {"content": "write"}),
            ("remove_todo", {"todo_id": "x"}),
            CHECK,
            DISSOLVE,
        )
        assert texts == ["Error: No team is active. Use spawn_team first."] * 5 + ["No team is active."] * 2

    async def test_bad_calls_are_told_what_is_wrong(self, run_parent: RunParent) -> None:
        """T5 (refusal): one team at a time, members that are there, one task at a time, names of their own."""
        gate = Gate()
        crew = Crew.of(ann=[gate, "a page"], bob=[])
        texts = await self.run(
            run_parent,
            crew,
            ("spawn_team", {"team_name": "crew", "members": []}),
            spawn("ann", "ann"),
            spawn("leader"),
            spawn("ann", team=" "),
            spawn("ann", "bob"),
            spawn("bob"),
            assign("cid", "write"),
            tell("cid", "hello"),
            assign("ann", "write"),
            gate.reached,
            assign("ann", "write more"),
            assign("bob", " "),
            TODOS,
        )
        assert texts[:4] == [
            "Error: A team needs at least one member.",
            "Error: Two members are called 'ann': their names must differ.",
            "Error: A member cannot be called 'leader'.",
            "Error: A team needs a name.",
        ]
        assert texts[5] == "Error: A team is already active. Dissolve it first."
        assert texts[6] == texts[7] == "Error: Member 'cid' not found. Available: ann, bob"
        assert texts[9] == "Error: Member 'ann' is already running. Check status first."
        assert texts[10] == "Error starting task for 'bob': a todo needs a text"
        assert texts[11].count("\n") == 0
        assert "[in_progress] write (@ann)" in texts[11]

    async def test_a_message_goes_into_the_members_next_model_request(self, run_parent: RunParent) -> None:
        """T6: and the leader is told whether it will be read."""
        gate = Gate()
        crew = Crew.of(ann=[gate, TEAM_TODOS, "a page", "a poem"])

        def open_gate(_: list[str]) -> Call:
            gate.open()
            return CHECK

        texts = await self.run(
            run_parent,
            crew,
            spawn("ann"),
            tell("ann", "be kind"),
            assign("ann", "write"),
            gate.reached,
            tell("ann", "be brief"),
            open_gate,
            crew.ended["ann"].event,
            until("ann: completed"),
            tell("ann", "well done"),
        )
        assert texts[1] == (
            "Message recorded for 'ann', but it has no running task to deliver it to. Assign a task first."
        )
        assert texts[3] == "Message delivered to 'ann'; it will be applied on its next step."
        assert texts[-1] == (
            "Message recorded for 'ann', but its task has ended (status: completed). Its next task begins with it."
        )
        ann = crew.scripts["ann"]
        assert ann.said_to(0) == ["write", "[Message from leader] be kind"]
        assert ann.said_to(1) == ["write", "[Message from leader] be kind", "[Message from leader] be brief"]

    async def test_members_and_leader_share_todos_and_messages(self, run_parent: RunParent) -> None:
        """T6: a member claims what the leader added, adds something, and writes to the leader."""
        added: list[str] = []

        def note(returned: list[str]) -> Call:
            added.append(todo_id_in(returned[-1]))
            return assign("ann", "help")

        crew = Crew.of(
            ann=[
                lambda _: ("claim_team_todo", {"todo_id": added[0]}),
                lambda _: ("complete_team_todo", {"todo_id": added[0], "result": "Spring"}),
                ("add_team_todo", {"content": "print it"}),
                ("send_team_message", {"receiver": "leader", "content": "have a look"}),
                ("broadcast_team_message", {"content": "all is well"}),
                ("send_team_message", {"receiver": "cid", "content": "hello"}),
                "helped",
            ]
        )
        script = Script(
            spawn("ann"),
            ("add_todo", {"content": "find a title"}),
            note,
            crew.ended["ann"].event,
            until("ann: completed"),
            "done",
        )
        toolset = create_team_toolset(agent_factory=crew.build)
        assert await run_parent(lead(script, toolset), "go") == "done"
        status = script.returned_to()[-1]
        assert f"- {added[0]} [completed] find a title (@ann)\n  Result: Spring" in status
        assert "[completed] help (@ann)\n  Result: helped" in status
        assert "[pending] print it" in status
        heard = "\n".join((*script.said_to(), *script.returned_to()))
        assert "[Message from ann] have a look" in heard
        assert "[Message from ann] all is well" in heard
        assert crew.scripts["ann"].returned_to()[-1] == "Error: there is no 'cid' in the team; there are leader, ann"

    async def test_the_leader_keeps_the_todo_list(self, run_parent: RunParent) -> None:
        """T5: it adds, claims, completes and removes, and is refused as members are."""
        ids: list[str] = []

        def second(returned: list[str]) -> Call:
            ids.append(todo_id_in(returned[-1]))
            return "add_todo", {"content": "review", "blocked_by": [ids[0]]}

        def claim_blocked(returned: list[str]) -> Call:
            ids.append(todo_id_in(returned[-1]))
            return "claim_todo", {"todo_id": ids[1]}

        texts = await self.run(
            run_parent,
            Crew.of(ann=[]),
            spawn("ann"),
            ("add_todo", {"content": "write"}),
            second,
            claim_blocked,
            TODOS,
            lambda _: ("claim_todo", {"todo_id": ids[0]}),
            lambda _: ("complete_todo", {"todo_id": ids[0]}),
            lambda _: ("claim_todo", {"todo_id": ids[0]}),
            lambda _: ("remove_todo", {"todo_id": ids[1]}),
            lambda _: ("remove_todo", {"todo_id": ids[1]}),
            ("add_todo", {"content": "print", "blocked_by": ["missing"]}),
            TODOS,
        )
        first_id, second_id = ids
        assert texts[3] == f"Error: todo '{second_id}' still waits for {first_id}"
        assert texts[4] == f"- {first_id} [pending] write\n- {second_id} [pending] review (waits for {first_id})"
        assert texts[5:10] == [
            f"Todo '{first_id}' is yours",
            f"Todo '{first_id}' is completed",
            f"Error: todo '{first_id}' is completed by 'leader' already",
            f"Todo '{second_id}' is removed",
            f"Error: there is no todo '{second_id}'",
        ]
        assert texts[10] == "Error: there is no todo 'missing' to wait for"
        assert texts[11] == f"- {first_id} [completed] write (@leader)"

    async def test_a_members_question_is_answered_by_a_message(self, run_parent: RunParent) -> None:
        """T5: the leader sees the question when it looks."""
        crew = Crew.of(ann=[("ask_parent", {"question": "which ink?"}), "a page"])
        texts = await self.run(
            run_parent,
            crew,
            spawn("ann"),
            assign("ann", "write"),
            until("Question: which ink?"),
            tell("ann", "blue"),
            crew.ended["ann"].event,
            until("ann: completed"),
        )
        assert "Answer delivered to 'ann', which was waiting for one." in texts
        assert crew.scripts["ann"].returned_to() == ["blue"]

    async def test_a_member_that_fails_frees_its_todo_and_can_be_given_another(self, run_parent: RunParent) -> None:
        """T2, T5: a dead claimant's item is released; the error is told in full."""

        def fail(_: list[str]) -> Call:
            raise RuntimeError("no ink")

        crew = Crew.of(ann=[fail, "a page"])
        first = crew.ended["ann"].event

        def again(_: list[str]) -> Call:
            first.clear()
            return assign("ann", "try again")

        texts = await self.run(
            run_parent,
            crew,
            spawn("ann"),
            assign("ann", "write"),
            first,
            until("ann: failed", "[pending] write"),
            again,
            first,
            until("ann: completed", "[completed] try again (@ann)"),
        )
        failed = next(text for text in texts if "ann: failed" in text)
        assert "  Error: " in failed
        assert "[pending] write" in texts[-1]

    async def test_two_runs_on_one_toolset_have_a_team_each(self, run_parent: RunParent) -> None:
        """T5: one team per run, not per toolset object."""
        crew = Crew.of(ann=[], bob=[])
        toolset = create_team_toolset(agent_factory=crew.build)
        one_spawned, other_spawned = asyncio.Event(), asyncio.Event()

        def spawned(event: asyncio.Event) -> Callable[[list[str]], Call]:
            def note(_: list[str]) -> Call:
                event.set()
                return CHECK

            return note

        one = Script(spawn("ann", team="one"), spawned(one_spawned), other_spawned, CHECK, "done")
        other = Script(one_spawned, spawn("bob", team="other"), spawned(other_spawned), DISSOLVE, CHECK, "done")
        await asyncio.gather(run_parent(lead(one, toolset), "go"), run_parent(lead(other, toolset), "go"))
        assert one.returned_to()[-1] == "Team 'one' status:\n\nMembers:\n- ann: idle"
        assert other.returned_to()[-3:] == [
            "Team 'other' status:\n\nMembers:\n- bob: idle",
            "Team 'other' dissolved.",
            "No team is active.",
        ]

    async def test_a_team_that_cannot_be_spawned_leaves_nothing_behind(self, run_parent: RunParent) -> None:
        """T5 (refusal): no team, and nobody in the registry; the next one can be spawned."""
        seen: list[list[str]] = []
        registry = DynamicAgentRegistry()

        def look(_: list[str]) -> Call:
            seen.append(registry.list_agents())
            return spawn("ann")

        texts = await self.run(
            run_parent, Crew.of(ann=[], bob=[]), spawn("ann", "cid"), CHECK, look, CHECK, registry=registry
        )
        assert texts[:2] == ["Error: nobody is called cid", "No team is active."]
        assert seen == [[]]
        assert texts[2] == (
            "Team 'crew' created with 1 members:\n- ann\n\n"
            "Members registered as subagents. Use assign_task to start execution."
        )

    async def test_dissolving_keeps_agents_that_the_team_did_not_add(self, run_parent: RunParent) -> None:
        """T5: a member whose name is registered already is that agent, and stays registered."""
        crew = Crew.of(bob=["a picture"])
        own = Script("a page")
        registry = DynamicAgentRegistry()
        registry.register(
            SubAgentConfig(name="ann", description="writes", instructions=""), Agent(own.model, name="ann")
        )
        seen: list[list[str]] = []

        def look(then: Call) -> Callable[[list[str]], Call]:
            def note(_: list[str]) -> Call:
                seen.append(registry.list_agents())
                return then

            return note

        await self.run(
            run_parent,
            crew,
            spawn("ann", "bob"),
            assign("ann", "write"),
            look(CHECK),
            until("Result: a page"),
            DISSOLVE,
            look(CHECK),
            registry=registry,
        )
        assert [sorted(names) for names in seen] == [["ann", "bob"], ["ann"]]

    async def test_a_team_after_another_begins_with_an_empty_list(self, run_parent: RunParent) -> None:
        """T5: dissolving cancels what still runs."""
        gate = Gate()
        crew = Crew.of(ann=[gate, "never"], bob=[])
        texts = await self.run(
            run_parent,
            crew,
            spawn("ann"),
            assign("ann", "write"),
            gate.reached,
            DISSOLVE,
            crew.ended["ann"].event,
            spawn("bob", team="band"),
            TODOS,
            CHECK,
        )
        assert crew.ended["ann"].was_canceled
        assert texts[-2:] == ["The todo list is empty.", "Team 'band' status:\n\nMembers:\n- bob: idle"]

    async def test_members_end_with_their_leaders_run(self, run_parent: RunParent) -> None:
        """T5: a run leaves nobody behind."""
        gate = Gate()
        crew = Crew.of(ann=[gate, "never"])
        await self.run(run_parent, crew, spawn("ann"), assign("ann", "write"), gate.reached)
        await crew.ended["ann"].event.wait()
        assert crew.ended["ann"].was_canceled
