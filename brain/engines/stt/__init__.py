"""Ears: speech to text, each engine imported only when it is chosen."""
