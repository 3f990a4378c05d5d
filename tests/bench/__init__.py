"""Timed figures beside those of peers in the same run. No figure passes or fails."""
