"""Trains the pocket mouth: a small voice in Piper's format, learnt from espeak-ng."""
