"""What a check found, for a person or for a script; as deploy/findings.sh has it, with a note."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["ok", "note", "warning", "error"]
_RANKS: Mapping[str, int] = {"ok": 0, "note": 0, "warning": 1, "error": 2}


@dataclass(frozen=True)
class Finding:
    """`found` says what is so, `todo` what to do about it; empty where there is nothing to do.

    "error": it doesn't do what it was asked to; "warning": it does, but not as well, or not for
    long; "note": worth knowing.
    """

    severity: Severity
    name: str
    found: str
    todo: str = ""


def worst(findings: Sequence[Finding]) -> Severity:
    """The gravest severity among them; "ok" where there are notes alone."""
    rank = max((_RANKS[finding.severity] for finding in findings), default=0)
    return "error" if rank == 2 else "warning" if rank == 1 else "ok"


def exit_status(findings: Sequence[Finding]) -> int:
    """0 if all is well, 1 after warnings, 2 after errors."""
    return _RANKS[worst(findings)]


def as_lines(findings: Sequence[Finding]) -> list[str]:
    """A line each, and one more for what to do."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity:<8} {finding.name:<{width}} {_shown(finding.found)}")
        if finding.todo:
            lines.append(f"{'':<8} {'':<{width}} -> {_shown(finding.todo)}")
    return lines


def _shown(text: str) -> str:
    """On one line, and without what would move a terminal's cursor: some of it is others' words."""
    plain = " ".join(text.split())
    return "".join(character for character in plain if character.isprintable())


def as_json(findings: Sequence[Finding], more: Mapping[str, Any] | None = None) -> str:
    """`{"severity", "findings": [{name, severity, found, todo}], …more}`."""
    listed = [asdict(finding) for finding in findings]
    document = {"severity": worst(findings), "findings": listed, **(more or {})}
    return json.dumps(document, indent=2, ensure_ascii=False)
