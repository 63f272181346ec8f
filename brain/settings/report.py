"""The settings as people and scripts see them: name, value, unit, origin; secrets masked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import SecretStr

from brain.settings.load import show
from brain.settings.model import SPECS, Settings


@dataclass(frozen=True)
class Row:
    """One setting as it stands. `value` and `default` are plain; of a secret, a mask or ""."""

    name: str
    value: str | int | float | bool
    unit: str
    origin: str
    default: str | int | float | bool
    changed: bool


def rows(settings: Settings, *, changed_only: bool = False) -> list[Row]:
    """A row for each setting, in the order of their declaration.

    `changed_only`: those whose value isn't the default, wherever it came from.
    """
    origins = settings.origins
    made = []
    for spec in SPECS.values():
        value = getattr(settings, spec.attribute)
        changed = value != spec.default
        if changed or not changed_only:
            made.append(
                Row(
                    name=spec.name,
                    value=_plain(value),
                    unit=spec.unit,
                    origin=origins[spec.name],
                    default=_plain(spec.default),
                    changed=changed,
                )
            )
    return made


def as_json(settings: Settings, *, changed_only: bool = False) -> str:
    """`{"profile", "settings": {NAME: {value, unit, origin, default}}, "problems": [...]}`."""
    listed = {
        row.name: {
            "value": row.value,
            "unit": row.unit,
            "origin": row.origin,
            "default": row.default,
        }
        for row in rows(settings, changed_only=changed_only)
    }
    problems = [{"severity": p.severity, "message": str(p)} for p in settings.problems]
    document = {"profile": settings.brain_profile, "settings": listed, "problems": problems}
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_table(settings: Settings, *, changed_only: bool = False) -> str:
    """Aligned columns, one setting a line."""
    cells = [("SETTING", "VALUE", "UNIT", "FROM")]
    cells += [
        (row.name, _printable(show(row.value)), row.unit, row.origin)
        for row in rows(settings, changed_only=changed_only)
    ]
    return "\n".join(_aligned(cells))


def _aligned(cells: Iterable[tuple[str, ...]]) -> list[str]:
    lines = list(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, SecretStr | str):
        return show(value)
    if isinstance(value, int | float):
        return value
    raise TypeError(f"no setting is a {type(value).__name__}")


def _printable(text: str) -> str:
    """As it stands if it can be seen on one line; an empty value as two quotes."""
    return text if text and text.isprintable() else repr(text)
