"""What a report is and in which order reports are read: plain data and rules, no I/O."""
