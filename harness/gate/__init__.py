"""The gate: head against base, both built and measured now, on this machine, in one session."""
