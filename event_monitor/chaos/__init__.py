"""Faults made on purpose, to see what becomes of a bus and its services. No other part imports it."""
