"""Keeps one report per screened image, per tenant and owner."""
