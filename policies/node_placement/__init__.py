"""NodePlacement's policies: adapters between observations and the algorithms."""
