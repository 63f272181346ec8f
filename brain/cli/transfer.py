"""How far a transfer is: bars at a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from brain.models.store import Progress as Shown

_STEPS = 10
_WORTH_A_LINE = 50_000_000


@contextmanager
def shown() -> Iterator[Shown]:
    """Shows it on standard error, so that standard output stays the result's."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bars:
        yield Bars(bars)


class Bars:
    """One bar a file."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def file(self, name: str, size: int, done: int) -> Callable[[int], None]:
        task = self._bars.add_task(name, total=size, completed=done)
        return lambda more: self._bars.advance(task, more)


class Lines:
    """A line a file at its start, at each tenth of a large one, and nothing else."""

    def file(self, name: str, size: int, done: int) -> Callable[[int], None]:
        lock, have, step = threading.Lock(), done, done * _STEPS // max(1, size)
        rest = f", {done / 1e6:.1f} MB of it are here" if done else ""
        _line(f"{name}: {size / 1e6:.1f} MB{rest}")

        def more(count: int) -> None:
            nonlocal have, step
            with lock:
                have += count
                now = have * _STEPS // max(1, size)
                if now > step and size >= _WORTH_A_LINE:
                    _line(f"{name}: {100 * have // size} %")
                step = max(step, now)

        return more


def _line(text: str) -> None:
    """In one piece: several files come at once, each in a thread of its own."""
    sys.stderr.write(f"{text}\n")
