"""What every Radrelay service shares: contracts and plumbing, no business rules."""
