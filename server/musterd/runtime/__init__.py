"""Runs components: builds them per request, journals their steps, logs their events, stops them when asked."""
