"""Mouths: text to speech, each engine imported only when it is chosen."""
