"""What a team does whose members a subagent toolset starts, wherever it runs."""

from typing import Any

from pydantic_ai import Agent
from tests.blackbox.teams import CHECK, DISSOLVE, Call, Crew, RunParent, assign, spawn, tell, until
from tests.support.gated_model import Gate
from tests.support.scripts import Script

from musterd.subagents import DynamicAgentRegistry, create_subagent_toolset
from musterd.teams import create_team_toolset


def lead_subagents(script: Script, crew: Crew) -> Agent[Any, str]:
    registry = DynamicAgentRegistry()
    subagents = create_subagent_toolset(registry=registry)
    team = create_team_toolset(
        agent_factory=crew.build, registry=registry, task_fn=subagents.task, task_manager=subagents.task_manager
    )
    return Agent(script.model, name="lead", toolsets=[subagents, team], deps_type=object)


class TeamOfSubagentsBehaviour:
    """Needs a fixture `run_parent`: a RunParent."""

    async def test_the_leader_sees_and_tells_members_that_a_subagent_toolset_starts(
        self, run_parent: RunParent
    ) -> None:
        """T5: with its tool as task_fn and its task manager; each message arrives once."""
        gate = Gate()
        crew = Crew.of(ann=[gate, ("ask_parent", {"question": "which ink?"}), "a page"])

        def open_gate(_: list[str]) -> Call:
            gate.open()
            return CHECK

        script = Script(
            spawn("ann"),
            assign("ann", "write"),
            gate.reached,
            CHECK,
            tell("ann", "be brief"),
            open_gate,
            until("Question: which ink?"),
            tell("ann", "blue"),
            crew.ended["ann"].event,
            until("ann: completed", "Result: a page"),
            "done",
        )
        assert await run_parent(lead_subagents(script, crew), "go") == "done"
        texts = script.returned_to()
        assert "- ann: running" in texts[2]
        assert texts[3] == "Message delivered to 'ann'; it will be applied on its next step."
        assert "Answer delivered to 'ann', which was waiting for one." in texts
        assert "[completed] write (@ann)\n  Result: a page" in texts[-1]
        assert crew.scripts["ann"].said_to()[1:] == ["[Message from leader] be brief"]

    async def test_members_that_a_subagent_toolset_started_end_with_their_team(self, run_parent: RunParent) -> None:
        """T5: dissolving cancels them; while they run they are given nothing else."""
        gate = Gate()
        crew = Crew.of(ann=[gate, "never"])
        script = Script(
            spawn("ann"),
            assign("ann", "write"),
            gate.reached,
            assign("ann", "write more"),
            DISSOLVE,
            crew.ended["ann"].event,
            "done",
        )
        assert await run_parent(lead_subagents(script, crew), "go") == "done"
        assert script.returned_to()[2:] == [
            "Error: Member 'ann' is already running. Check status first.",
            "Team 'crew' dissolved.",
        ]
        assert crew.ended["ann"].was_canceled
