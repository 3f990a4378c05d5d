"""Faults made on purpose, to see what becomes of a bus and its services. Of the other parts only the
command line knows it."""
