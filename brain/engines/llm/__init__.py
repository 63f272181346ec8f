"""Minds: language models, each imported only when it is chosen."""
