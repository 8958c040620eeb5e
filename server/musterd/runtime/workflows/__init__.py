"""Runs workflows: one task for the workflow itself, and one for each step that an agent, team or workflow does."""
