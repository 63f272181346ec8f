"""How a command ends that didn't succeed."""

from __future__ import annotations

import sys


def failed(reason: str) -> int:
    """Print why a command failed; its exit status."""
    print(f"brain: {reason}", file=sys.stderr)
    return 1
