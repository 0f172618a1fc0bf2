"""Rules of screening, without I/O."""
