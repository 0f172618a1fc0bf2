"""What the dashboard service does: one function per use case, on ports."""
