"""The inference worker against the bare model and the naive design: `python -m benchmarks.inference --help`."""
