"""The memory plan: what a set of settings takes of a machine's memory, part by part."""
