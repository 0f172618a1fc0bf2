"""The one error of a benchmark."""


class BenchmarkError(RuntimeError):
    """It cannot be measured; the message says what and why."""
