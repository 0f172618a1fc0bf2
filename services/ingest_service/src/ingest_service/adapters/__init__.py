"""Where intake meets PostgreSQL, processes and disks."""
