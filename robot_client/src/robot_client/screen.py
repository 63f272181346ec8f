"""Lines of text over one line that is redrawn: a level meter, or a prompt. Thread-safe."""

from __future__ import annotations

import logging
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from typing import TextIO

_WIPE = "\r\x1b[K"


def width(words: str) -> int:
    """Columns that a terminal takes for this."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in words
    )


def clipped(words: str, columns: int, *, keep_end: bool = False) -> str:
    """As much of the beginning (or the end) as fits."""
    fitting = 0
    for character in reversed(words) if keep_end else words:
        columns -= width(character)
        if columns < 0:
            break
        fitting += 1
    return words[len(words) - fitting :] if keep_end else words[:fitting]


def printable(words: str) -> str:
    """Without what would move the cursor or colour the screen: words come from elsewhere."""
    bad = "\N{REPLACEMENT CHARACTER}"
    return "".join(bad if unicodedata.category(c) == "Cc" and c != "\t" else c for c in words)


class Screen:
    """Prints lines to `out`, and keeps a status line below them on `status_out`.

    There is a status line only if `live`; it is wiped before each line and drawn again after it.
    A line goes out whole, so that a terminal that is shared stays readable.
    """

    def __init__(
        self,
        out: TextIO,
        status_out: TextIO,
        *,
        live: bool,
        columns: Callable[[], int] | None = None,
    ) -> None:
        self.live = live
        self._out = out
        self._status_out = status_out
        self._columns = columns or (lambda: _columns(status_out))
        self._status = ""
        self._keep_end = False
        self._lock = threading.RLock()

    def print(self, words: str, *, aside: bool = False) -> None:
        """One line; `aside`: to where the status goes (standard error), not among the results."""
        with self._lock:
            self._draw("")
            stream = self._status_out if aside else self._out
            stream.write(f"{words}\n")
            stream.flush()
            self._draw(self._status)

    def status(self, words: str, *, keep_end: bool = False) -> None:
        """What stands on the last line; `keep_end`: the end of it, if the terminal is narrow."""
        with self._lock:
            if (words, keep_end) != (self._status, self._keep_end):
                self._status, self._keep_end = words, keep_end
                self._draw(words)

    def redraw(self) -> None:
        """After a suspension, or when the terminal has another size."""
        with self._lock:
            self._draw(self._status)

    def close(self) -> None:
        """Take the status line away for good."""
        with self._lock:
            self.status("")
            self.live = False

    def _draw(self, words: str) -> None:
        if self.live:
            fitting = clipped(words, max(1, self._columns() - 1), keep_end=self._keep_end)
            self._status_out.write(f"{_WIPE}{fitting}")
            self._status_out.flush()


class ScreenLog(logging.Handler):
    """Log records as lines on the screen, rather than through the middle of its status line."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        self._screen.print(f"robot-client: {record.getMessage()}", aside=True)


def terminal_screen(*, live: bool) -> Screen:
    """Standard output and standard error; the status line only if that is a terminal."""
    return Screen(sys.stdout, sys.stderr, live=live and sys.stderr.isatty())


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # a stand-in without a descriptor, or no terminal
        return 80
