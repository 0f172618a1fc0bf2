"""Backups of an installation, and their way back: database, objects and the published heads of the audit chains."""
