"""Answers how many cases a tenant and a clinician have, from events alone."""

from importlib.metadata import version

__version__ = version("radrelay-dashboard")
