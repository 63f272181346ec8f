"""Engines on other machines: several servers that serve as one, and what OpenAI's API shares."""
