"""Conversations on disk: what a robot's history is across a restart of the brain."""
