"""Serves aggregates from a read model of its own."""
