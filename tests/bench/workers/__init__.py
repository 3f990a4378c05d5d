"""Processes that a bench starts: each prints one JSON object."""
