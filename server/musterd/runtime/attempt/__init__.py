"""One attempt of a run: the agent loop with its journal, its orders and what it tells."""
