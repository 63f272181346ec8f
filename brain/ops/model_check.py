"""`brain models check`: measures what is installed, by the evaluation that ships with the brain.

A fixed sample of it by default (under 45 s on two cores), all of it with `full`. The figures of the
embedded models are held to `evaluation/targets.toml` and `floors.json`; those of others are only
measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from brain.engines import recipes
from brain.engines.ports import LanguageModel, Synthesizer, Transcriber
from brain.ops import check_data, check_ears, check_figures, check_mind, check_mouth, check_voices
from brain.ops.check_data import Evaluation, Row, sample
from brain.ops.check_engines import Opened, opened
from brain.ops.check_figures import Bound, Figure
from brain.ops.check_replies import Judge, plain
from brain.ops.check_texts import product_texts
from brain.settings import Settings


@dataclass(frozen=True)
class Sizes:
    """How much of the evaluation is run; None is all."""

    ears: check_ears.Sizes = field(default_factory=check_ears.Sizes)
    mind: check_mind.Sizes = field(default_factory=check_mind.Sizes)
    heard: int | None = None
    mouth: int | None = None


SAMPLE = Sizes(
    check_ears.Sizes(quiet=60, noise=40, nothing=32),
    check_mind.Sizes(repertoire=80, unseen=90, alike=20, conversations=12, plans=20),
    heard=40,
    mouth=40,
)
_WIDTH = 130
_MISSES_SHOWN = {False: 4, True: 1000}


def run(settings: Settings, *, full: bool, json: bool) -> int:
    """Check what `settings` name and print the figures.

    Returns 0, or 1 if a figure is under its floor or an engine isn't there.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)  # a log has room for the whole table
    began = time.monotonic()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    ) as progress:  # fmt: skip
        figures, missing = asyncio.run(check(settings, Sizes() if full else SAMPLE, progress))
    seconds = time.monotonic() - began
    if json:
        about = {"full": full, "seconds": round(seconds, 1), "not_checked": missing}
        sys.stdout.write(check_figures.as_json(figures, **about) + "\n")
    else:
        check_figures.print_table(console, figures, misses=_MISSES_SHOWN[full])
        for organ, reason in missing.items():
            console.print(f"[bold red]{organ}[/]: not checked: ", end="", highlight=False)
            console.print(reason, markup=False, highlight=False, soft_wrap=True)
        kind = "the whole evaluation" if full else "a sample; --full runs it all"
        console.print(f"[dim]{seconds:.0f} s, {kind}[/]", highlight=False)
    return 0 if check_figures.passed(figures) and not missing else 1


async def check(
    settings: Settings, sizes: Sizes, progress: Progress
) -> tuple[list[Figure], dict[str, str]]:
    """All figures, and by organ why it couldn't be checked."""
    data = check_data.read()
    ears = await opened(recipes.transcriber_rungs(settings), "there are none")
    mind = await opened(recipes.language_model_rungs(settings), "there is none")
    mouth = await opened(recipes.synthesizer_rungs(settings), "TTS_BACKEND=off: text only")
    figures: list[Figure] = []
    try:
        heard: list[tuple[Row, str]] = []
        if ears.engine is not None:
            found, heard = await _ears(ears.engine, data, sizes, progress)
            figures += _held(found, data.bounds, ears.pocket)
        if mind.engine is not None:
            found = await _mind(mind, data, sizes, heard, progress, settings.max_actions)
            figures += _held(found, data.bounds, mind.pocket)
        if mouth.engine is not None and ears.engine is not None:
            found = await _mouth(mouth.engine, ears.engine, data, sizes, progress)
            figures += _held(found, data.bounds, mouth.pocket and ears.pocket)
    finally:
        for organ in (ears, mind, mouth):
            if organ.engine is not None:
                await organ.engine.close()
    if ears.engine is None:
        mouth = Opened(None, reason="it is heard by the ears, which are missing")
    organs: dict[str, Opened[Transcriber] | Opened[LanguageModel] | Opened[Synthesizer]]
    organs = {"ears": ears, "mind": mind, "mouth": mouth}
    return figures, {name: o.reason for name, o in organs.items() if o.engine is None}


async def _ears(
    ears: Transcriber, data: Evaluation, sizes: Sizes, progress: Progress
) -> tuple[list[Figure], list[tuple[Row, str]]]:
    """Also returns rows of the repertoire with what was heard of them, one a phrase."""
    task = progress.add_task("ears", total=None)
    rows = {plain(row["text"]): row for row in data.repertoire}
    phrases = [row["text"] for row in rows.values()]
    inspection = check_ears.EarsCheck(
        ears, check_voices.speak, data.ears, lambda: progress.advance(task)
    )
    figures, heard = await inspection.figures(phrases, sizes.ears)
    progress.update(task, total=progress.tasks[task].completed)
    once = {plain(phrase): text for phrase, text in heard}
    return figures, sample([(rows[p], text) for p, text in once.items()], sizes.heard)


async def _mind(
    mind: Opened[LanguageModel], data: Evaluation, sizes: Sizes,
    heard: Sequence[tuple[Row, str]], progress: Progress, max_actions: int,
) -> list[Figure]:  # fmt: skip
    assert mind.engine is not None
    task = progress.add_task("mind", total=None)
    judge = Judge(data.replies, exact=mind.pocket)
    inspection = check_mind.MindCheck(
        mind.engine, product_texts(max_actions), data, judge, lambda: progress.advance(task)
    )
    figures = await inspection.figures(sizes.mind, heard)
    progress.update(task, total=progress.tasks[task].completed)
    if mind.pocket:
        return figures
    return [
        f if f.unit == "ms" else replace(f, note="its own words aren't judged") for f in figures
    ]


async def _mouth(
    mouth: Synthesizer, ears: Transcriber, data: Evaluation, sizes: Sizes, progress: Progress
) -> list[Figure]:
    task = progress.add_task("mouth", total=None)
    listener = check_ears.EarsCheck(ears, check_voices.speak, data.ears)
    phrases = list({plain(row["text"]): row["text"] for row in data.repertoire}.values())
    inspection = check_mouth.MouthCheck(mouth, listener.hear, lambda: progress.advance(task))
    figures = await inspection.figures(sample(phrases, sizes.mouth), data.clauses, data.odd_texts)
    progress.update(task, total=progress.tasks[task].completed)
    return figures


def _held(figures: Sequence[Figure], bounds: Mapping[str, Bound], pocket: bool) -> list[Figure]:
    """The embedded models are held to their bounds; others are only measured."""
    return [figure.bounded(bounds) if pocket else figure for figure in figures]
