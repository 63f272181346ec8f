"""What the tools share that write a page of the docs, or look whether it is in step."""

from __future__ import annotations

import sys
from pathlib import Path


def write_or_check(path: Path, made: str, tool: str) -> int:
    """Write the page, or with `--check` on the command line compare it; the exit status.

    `tool`: the module that makes it.
    """
    if "--check" not in sys.argv[1:]:
        path.write_text(made, encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == made:
        return 0
    print(f"docs/{path.name} isn't in step: run python -m {tool}", file=sys.stderr)
    return 1
