"""Where ports meet PostgreSQL."""
