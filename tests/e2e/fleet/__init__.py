"""A fleet on loopback: robots, several brains, a shared Redis, and engines on other machines."""
