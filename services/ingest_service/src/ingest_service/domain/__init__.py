"""Rules of intake as plain data and functions: no database, no broker, no framework."""
