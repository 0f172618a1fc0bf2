"""What is counted and what the counts say: plain data and rules, no I/O."""
