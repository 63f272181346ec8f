"""`make bench` (`python -m benchmarks`): measures the product beside its peers, and reports.

    python -m benchmarks --turns 4 --only ours      a quick look at the rows whose name begins so
    python -m benchmarks --part barge-in            that part alone
    python -m benchmarks --publish                  the README's table and RESULTS.md as well

The report goes to benchmarks/results: Markdown, the figures as JSON, and a picture.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.parts import MODULES, PARTS, Asked, Found, module
from benchmarks.peers import report
from benchmarks.peers.servers import ROOT
from benchmarks.publish import publish

RESULTS = ROOT / "benchmarks/results"
PEERS = {"pipecat": "pipecat-ai 1.14.0", "s2s": "speech-to-speech 1.1.0"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, and print the goals; 1 if one is missed or a part broke."""
    p = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    p.add_argument("--turns", type=int, default=20, help="of each row (default %(default)s)")
    p.add_argument("--only", action="append", default=[], metavar="ROW", help="and no other rows")
    p.add_argument("--part", action="append", default=[], help="and no other parts")
    p.add_argument("--no-peers", action="store_true", help="ours alone")
    p.add_argument("--publish", action="store_true", help="put the figures into the README, too")
    p.add_argument("--out", type=Path, default=RESULTS, help="folder (default %(default)s)")
    args = p.parse_args(arguments)
    started = time.monotonic()

    def progress(what: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {what}", file=sys.stderr, flush=True)

    load_before = os.getloadavg()
    kinds, missing = ["ours"], []
    for peer in () if args.no_peers else PEERS:
        progress(f"setting up {peer}")
        if _set_up(peer):
            kinds.append(peer)
        else:
            missing.append(peer)
    asked = Asked(args.turns, kinds, args.only)
    founds, broken = _measured(asked, args.part, progress)
    found = _together(founds)
    text = _written(found, asked, missing, broken, load_before, time.monotonic() - started)
    _save(args.out, found, text)
    if args.publish:
        page = args.out / f"{_name()}.md"
        python = platform.python_version()
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {python}"
        publish(ROOT, page.resolve(), _today(), machine, found.rows, found.goals)
    print(report.goals(found.goals))
    progress(f"the report is in {args.out}")
    return int(bool(broken) or any(goal.measured and not goal.met for goal in found.goals))


def _set_up(peer: str) -> bool:
    """Whether it is there now."""
    done = subprocess.run([ROOT / "benchmarks/peers/setup.sh", peer], cwd=ROOT, check=False)
    return done.returncode == 0


def _measured(asked: Asked, only: Sequence[str], progress: Any) -> tuple[list[Found], list[str]]:
    """What the parts found, and which broke."""
    founds: list[Found] = []
    broken: list[str] = []
    for name, part in PARTS:
        if only and name not in only:
            continue
        try:
            founds.append(part(asked, progress))
        except Exception as error:  # noqa: BLE001 - a part that breaks must not cost the others
            traceback.print_exc()
            broken.append(f"{name}: {type(error).__name__}: {error}")
    for title, name in MODULES:
        if only and name.rpartition(".")[2] not in only:
            continue
        try:
            there = module(title, name, progress)
        except (subprocess.TimeoutExpired, RuntimeError) as error:
            progress(f"{name}: {error}")
            broken.append(f"{name}: {error}")
            continue
        if there is not None:
            founds.append(there)
    return founds, broken


def _together(founds: Sequence[Found]) -> Found:
    whole = Found()
    for found in founds:
        whole.sections += found.sections
        whole.goals += found.goals
        whole.figures |= found.figures
        whole.rows |= found.rows
        whole.bars += found.bars
        whole.staged += found.staged
    return whole


def _written(
    found: Found,
    asked: Asked,
    missing: Sequence[str],
    broken: Sequence[str],
    load: tuple[float, float, float],
    took_s: float,
) -> str:
    machine = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": ", ".join([f"robot-brain {version('robot-brain')}",
                               *(PEERS[kind] for kind in asked.kinds if kind in PEERS)]),
        "load before": f"{load[0]:.1f}",
        "took": f"{took_s / 60:.0f} minutes, {asked.turns} turns a row",
    }  # fmt: skip
    found.figures["run"] = {**machine, "missing": list(missing), "broken": list(broken)}
    lines = [f"# Bench, {_today()}", "", "; ".join(f"{k}: {v}" for k, v in machine.items()), ""]
    lines += [f"**{peer} couldn't be set up, so it isn't in here.**\n" for peer in missing]
    lines += [f"**A part broke: {what}**\n" for what in broken]
    if found.goals:
        lines += ["## Goals", "", report.goals(found.goals), ""]
    if found.bars or found.staged:
        lines += [f"![who answers how soon]({_name()}.svg)", ""]
    if found.bars:
        lines += [report.how(), ""]
    for title, text in found.sections:
        lines += [f"## {title}", "", text, ""]
    return "\n".join(lines)


def _save(folder: Path, found: Found, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{_name()}.md").write_text(text)
    (folder / f"{_name()}.json").write_text(json.dumps(found.figures, indent=1) + "\n")
    if found.bars or found.staged:
        from benchmarks.peers.drawing import draw

        draw(found.bars, found.staged, folder / f"{_name()}.svg")


def _name() -> str:
    return f"{_today()}-bench-{platform.machine()}-{os.cpu_count()}cores"


def _today() -> str:
    return dt.datetime.now(dt.timezone.utc).date().isoformat()


if __name__ == "__main__":
    sys.exit(main())
