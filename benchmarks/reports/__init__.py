"""What reading reports costs when there are many, and persisting them against inserting their rows."""
