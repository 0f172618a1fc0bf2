"""The use cases: one function each, on ports."""
