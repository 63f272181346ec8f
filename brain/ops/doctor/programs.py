"""Other programs of the machine, asked with care: they may be missing, hang, or talk nonsense."""

from __future__ import annotations

import os
import shutil
import subprocess

_PATIENCE_S = 30.0


def program(name: str, *arguments: str, any_status: bool = False) -> str:
    """What a program prints; "" if it isn't there, hangs, or (but for `any_status`) fails."""
    path = shutil.which(name)
    if path is None:
        return ""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("LC_")}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [path, *arguments], check=False, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_PATIENCE_S, env={**environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if any_status or done.returncode == 0 else ""
