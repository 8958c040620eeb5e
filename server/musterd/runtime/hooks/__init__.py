"""Runs hooks: in front of and behind a run, and after it in the background."""
