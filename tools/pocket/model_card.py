"""`python -m tools.pocket.model_card FULL.json SAMPLE.json`: figures into the model card.

Takes what `brain models check --full --json` and `brain models check --json` printed for the models
that are to be shipped. Writes the table between the marks of `brain/pocket/MODEL_CARD.md`, and the
floors that the check holds the models to from then on, `brain/pocket/evaluation/floors.json`: the
lesser of the two figures, less a margin, because another processor rounds otherwise.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from brain.ops import check_data
from brain.ops.check_figures import shown

CARD = check_data.FOLDER.parent / "MODEL_CARD.md"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_MARGIN = 0.03
# A slow machine is no fault of the model: so many times its share of a core is let pass.
_RTF_FLOOR = 0.25

Figures = dict[str, dict[str, Any]]


def table(figures: Figures, floors: dict[str, float]) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | measured | target | floor | cases |", "|---|---|---|---|---|"]
    for key, figure in figures.items():
        sign = "" if figure["more_is_better"] else "≤ "
        bounds = [
            "" if bound is None else sign + shown(bound, figure["unit"])
            for bound in (figure["target"], floors.get(key))
        ]
        value = shown(figure["value"], figure["unit"])
        missed = bounds[0] and not _reaches(figure)
        measured = f"{value} (missed)" if missed else value
        lines.append(
            f"| {figure['label']} | {measured} | {bounds[0]} | {bounds[1]} | {figure['cases']} |"
        )
    return "\n".join(lines)


def floors_of(full: Figures, sampled: Figures) -> dict[str, float]:
    """A floor for every share that has a target and isn't all or nothing, and for the factor."""
    floors = {}
    for key, figure in full.items():
        target = figure["target"]
        if figure["unit"] == "share" and target is not None and target < 1:
            least = min(figure["value"], sampled[key]["value"])
            floors[key] = max(0.0, round(min(target, least) - _MARGIN, 3))
    floors["mouth.rtf"] = _RTF_FLOOR
    return floors


def main() -> None:
    """Read the two outputs, write the card and the floors."""
    parser = argparse.ArgumentParser(prog="python -m tools.pocket.model_card")
    parser.add_argument("full", type=Path)
    parser.add_argument("sample", type=Path)
    args = parser.parse_args()
    full = json.loads(args.full.read_text(encoding="utf-8"))
    sampled = json.loads(args.sample.read_text(encoding="utf-8"))
    if not full["full"] or sampled["full"] or full["not_checked"]:
        parser.error("the first is the output of --full --json, the second of --json alone")
    floors = floors_of(full["figures"], sampled["figures"])
    (check_data.FOLDER / "floors.json").write_text(json.dumps(floors, indent=1) + "\n")
    card = CARD.read_text(encoding="utf-8")
    before, rest = card.split(_BEGIN)
    after = rest.split(_END)[1]
    figures = table(full["figures"], floors)
    CARD.write_text(f"{before}{_BEGIN}\n{figures}\n{_END}{after}", encoding="utf-8")
    print(figures)


def _reaches(figure: dict[str, Any]) -> bool:
    if figure["more_is_better"]:
        return bool(figure["value"] >= figure["target"])
    return bool(figure["value"] <= figure["target"])


if __name__ == "__main__":
    main()
