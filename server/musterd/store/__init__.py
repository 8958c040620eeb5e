"""Adapters of the store port, and the row encoding that they share."""
