"""The long run: a real bus under mixed load and random faults, and a day of it on virtual time."""
