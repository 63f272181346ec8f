"""Adapters to real engines, behind the small ports of `brain.engines.ports`."""
