"""`radrelay-bundle`: making, calibrating, evaluating and checking model bundles."""
