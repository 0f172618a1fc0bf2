"""The embedded stack, the development token issuer and the demo."""
