"""The pocket mind: a tiny Qwen3 trained from nothing on templated dialogues."""
