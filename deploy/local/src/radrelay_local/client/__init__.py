"""A client of Radrelay's public HTTP API: what `radrelay upload`, `radrelay watch` and the demo share."""
