"""What the tests measured on their way, told at their end."""

from __future__ import annotations

FIGURES: dict[str, str] = {}
