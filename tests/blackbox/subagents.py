"""What subagents do, wherever their tasks run: a class of tests for a fixture `run_parent` that runs an agent."""

from tests.blackbox.subagents_building import BuildingBehaviour
from tests.blackbox.subagents_delegating import DelegatingBehaviour
from tests.blackbox.subagents_talking import TalkingBehaviour


class SubagentBehaviour(BuildingBehaviour, DelegatingBehaviour, TalkingBehaviour):
    """Subclasses give the fixture `run_parent`: a RunParent of subagent_scripts."""
