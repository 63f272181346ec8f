"""Trains the pocket models from nothing."""
