"""Replay: a span of history, delivered again."""
