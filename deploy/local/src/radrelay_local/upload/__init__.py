"""`radrelay upload` and `radrelay watch`: send files to a Radrelay anywhere, and follow them to their reports."""
