"""deploy's own look at this kind of machine: the same findings, in the same form."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import brain
from brain.ops.doctor.programs import program

INSTALLED = Path("/opt/robot-brain/current/deploy")


def look(*, jetson: bool, desktop: bool, vllm: bool = False) -> tuple[Mapping[str, str], ...]:
    """What the preflight of a Jetson or of a desktop with a GPU found; nothing where neither is
    asked for, or the scripts aren't there. `vllm`: the desktop's GPU is for that."""
    kind = "jetpack" if jetson else "desktop" if desktop else ""
    for deploy in (Path(brain.__file__).parents[1] / "deploy", INSTALLED):
        script = deploy / kind / "preflight.sh"
        if kind and script.is_file():
            own = ["--venv", sys.prefix] if desktop else []  # whose wheels it looks at
            own += ["--vllm"] if desktop and vllm else []
            return findings_of(program("bash", str(script), "--json", *own, any_status=True))
    return ()


def findings_of(text: str) -> tuple[Mapping[str, str], ...]:
    """The findings of a preflight's JSON; none of what isn't that."""
    try:
        listed = json.loads(text)["findings"]
        return tuple(
            {key: str(one[key]) for key in ("name", "severity", "found", "todo")} for one in listed
        )
    except (ValueError, KeyError, TypeError):
        return ()
