"""Replay: recorded events are published again, as they were spaced, to where they would go today.

``desk`` keeps all replays of a home, ``run`` carries one out. ``selection`` and ``plan`` decide what is
replayed where, for the dry run and for the run alike. A replayed event is a new event: stored, queued and
delivered at least once like any other, with ``replay_of`` naming its original.
"""
