"""Checks of the Kubernetes manifests without a cluster: `python -m deploy.k8s.checks`, part of `make check`.

Every combination of components that somebody would pick is rendered as `kubectl apply -k` would, each object is
validated against its schema with unknown fields refused, and each combination against the rules of `rules`.
"""
