"""The Overview: figures, services, state, alerts and the live feed."""
