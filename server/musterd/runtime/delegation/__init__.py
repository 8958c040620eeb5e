"""Children of a run: the task engine as the host of subagents, their questions, and the boards of teams."""
