"""Tenants in the object store: a bucket for each, with what it is to do with old and unfinished objects."""
