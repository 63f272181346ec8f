"""A bad network, for real: `proxy` and `namespace` need neither the brain package nor pytest."""
