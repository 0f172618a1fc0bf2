"""Keeps one report per screened image, per tenant and owner."""

from importlib.metadata import version

__version__ = version("radrelay-report")
