"""The heart: turn-taking and replies. Pure Python; knows no engine library and no web framework."""
