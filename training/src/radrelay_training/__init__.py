"""Trains the demonstration bundle on synthetic phantoms."""
