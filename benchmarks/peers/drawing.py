"""The picture of the report: who answers how soon, and what the pocket models do meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.peers.figures import Figures
from benchmarks.peers.overlap import Staged
from tools.demo.picture import STAGE_COLOURS, stages_of

mpl.use("Agg")
from matplotlib import pyplot as plt

# Text stays text, and the same figures make the same file.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench"})

_COLOURS = {"ours": "#1f6fb2", "pipecat": "#b8b8b8", "s2s": "#8d8d8d"}
_MOST_TURNS = 12
_WORK = ("hear", "1st token", "1st clause", "1st audio")
_LET_GO = "the detector lets go"


def draw(
    rows: Sequence[tuple[str, str, Figures]], staged: Sequence[Staged], path: Path
) -> None:  # fmt: skip
    """Write an SVG: a bar a row (its kind of server, what it is, its figures; the line goes to the
    95th percentile), and below the stages of the pocket models' turns."""
    shown = staged[:_MOST_TURNS]
    heights = [max(1, len(rows)), max(1, len(shown))]
    figure, axes = plt.subplots(
        2, 1, figsize=(11, 1.8 + 0.32 * sum(heights)), height_ratios=heights, layout="constrained"
    )
    _bars(axes[0], rows)
    _stages(axes[1], shown)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _bars(axis: Any, rows: Sequence[tuple[str, str, Figures]]) -> None:
    for at, (kind, about, measured) in enumerate(rows):
        if not measured.count:
            continue
        axis.barh(at, measured.median, color=_COLOURS[kind], height=0.7)
        axis.plot([measured.median, measured.p95], [at, at], color="black", lw=1)
        axis.text(
            12,
            at,
            f"{about}: {measured.median:.0f}",
            va="center",
            fontsize=9,
            color="white" if kind == "ours" else "black",
        )
    axis.set_yticks([])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_title("From the last sample of speech to the first of the reply, ms", fontsize=11)


def _stages(axis: Any, turns: Sequence[Staged]) -> None:
    named: set[str] = set()
    for at, turn in enumerate(turns):
        stages = stages_of(turn.timings, turn.total - turn.let_go)
        for name, start, ms in [("", -turn.let_go, turn.let_go), *stages]:
            # The silence below, and above it what is done meanwhile.
            low, height = (at - 0.3, 0.3) if name in _WORK else (at, 0.25)
            label = (name or _LET_GO) if name not in named else None
            colour = STAGE_COLOURS.get(name, "#dddddd")
            begins = turn.let_go + start
            axis.barh(low, ms, height, left=begins, align="edge", color=colour, label=label)
            named.add(name)
        axis.text(turn.total + 6, at, f"{turn.total:.0f}", va="center", fontsize=8)
    axis.set_yticks([])
    axis.set_ylim(len(turns) - 0.4, -0.6)
    axis.set_title(
        "The pocket models, turn by turn, ms after the last sample of speech", fontsize=11
    )
    if named:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), fontsize=8, ncols=7)
