"""What a check of the models measures, and how it is judged, printed and given to scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from rich.console import Console
from rich.table import Table

Verdict = Literal["good", "as in the card", "missed", "measured"]
Unit = Literal["share", "ms", "ratio", "count"]


@dataclass(frozen=True)
class Bound:
    """What a figure should reach (`target`) and what the shipped models did reach (`floor`).

    Where less is better (times, clicks) both are upper bounds. None: there is no such bound.
    """

    target: float | None = None
    floor: float | None = None


@dataclass(frozen=True)
class Figure:
    """One measured number.

    key: stable name for scripts; value: a share of 0..1, milliseconds, a ratio or a count,
    NaN when nothing could be measured; cases: how many things were tried; more_is_better: which
    way is up; note: a remark; misses: what went wrong, the first few.
    """

    key: str
    label: str
    value: float
    unit: Unit
    cases: int
    more_is_better: bool = True
    note: str = ""
    misses: tuple[str, ...] = ()
    bound: Bound = Bound()

    def bounded(self, bounds: Mapping[str, Bound]) -> Figure:
        """The same figure with the bounds that `bounds` has for its key, if it has any."""
        return replace(self, bound=bounds.get(self.key, self.bound))

    @property
    def verdict(self) -> Verdict:
        """Good at the target, as in the card at the floor, missed below; measured if unbounded."""
        if self.bound.target is None and self.bound.floor is None:
            return "measured"
        if self._reaches(self.bound.target):
            return "good"
        return "as in the card" if self._reaches(self.bound.floor) else "missed"

    def _reaches(self, bound: float | None) -> bool:
        if bound is None:
            return False
        return self.value >= bound if self.more_is_better else self.value <= bound


def share(key: str, label: str, right: int, cases: int, misses: Sequence[str] = ()) -> Figure:
    """The share of `cases` that were `right`; NaN for no cases."""
    value = right / cases if cases else float("nan")
    return Figure(key, label, value, "share", cases, misses=tuple(misses))


def shown(value: float | None, unit: Unit) -> str:
    """`value` as people read it."""
    if value is None:
        return "-"
    if value != value:  # NaN
        return "none"
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "ms":
        return f"{value:.0f} ms"
    return f"{value:.3f}" if unit == "ratio" else f"{value:.0f}"


_COLOURS = {"good": "green", "as in the card": "yellow", "missed": "bold red", "measured": "dim"}


def print_table(console: Console, figures: Sequence[Figure], *, misses: int = 0) -> None:
    """Print all figures with their bounds, and up to `misses` failures of each that isn't good."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("figure")
    for name in ("measured", "target", "floor", "cases"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for figure in figures:
        sign = "" if figure.more_is_better else "≤ "
        bounds = [
            "-" if b is None else f"{sign}{shown(b, figure.unit)}"
            for b in (figure.bound.target, figure.bound.floor)
        ]
        verdict = f"[{_COLOURS[figure.verdict]}]{figure.verdict}[/]"
        note = f"  [dim]{figure.note}[/]" if figure.note else ""
        table.add_row(
            figure.label, shown(figure.value, figure.unit), *bounds, str(figure.cases),
            verdict + note,
        )  # fmt: skip
    console.print(table)
    for figure in figures:
        if figure.misses and misses:
            console.print(f"\n[bold]{figure.label}[/]: missed")
            for miss in figure.misses[:misses]:
                console.print(f"  {miss}", markup=False, highlight=False, soft_wrap=True)


def as_json(figures: Sequence[Figure], **about: object) -> str:
    """One JSON object: `about`, `ok`, and the figures with value, bounds and verdict by key."""
    entries = {}
    for figure in figures:
        entry = {k: v for k, v in asdict(figure).items() if k not in {"key", "bound"}}
        entry["value"] = None if figure.value != figure.value else round(figure.value, 5)
        entries[figure.key] = {**entry, **asdict(figure.bound), "verdict": figure.verdict}
    return json.dumps({**about, "ok": passed(figures), "figures": entries}, ensure_ascii=False)


def passed(figures: Sequence[Figure]) -> bool:
    """Whether no figure is missed."""
    return all(figure.verdict != "missed" for figure in figures)
