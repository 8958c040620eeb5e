"""Agents that delegate to other agents: toolsets that work in any pydantic-ai agent, and durably under the server."""
