"""Errors that every part of a process may raise."""


class ConfigurationError(ValueError):
    """The process cannot run as it is set up. Its message names settings, never values, and is logged as it is."""
