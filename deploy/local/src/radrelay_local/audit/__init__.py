"""`radrelay audit`: check a tenant's audit trail, and take it out."""
