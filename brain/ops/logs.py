"""Logging: one line a record, on standard error, uvicorn's records among them.

A rule for all who log here: what people said, typed or were told never goes into a record, of any
level, unless the house asks for it (LOG_SPEECH), and no secret ever does. Two mistakes are caught
all the same: a token in a logged address is masked, and a line break in a record can't forge a
second one.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from collections.abc import Mapping
from typing import TextIO

_LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_COLOURS: Mapping[int, str] = {
    logging.DEBUG: "\x1b[2m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31;1m",
}
_RESET = "\x1b[0m"
# Libraries that tell of every request or file at INFO; heard only when something is wrong. (uvicorn
# tells of each socket with its whole query, in which a token may be.)
_CHATTY = (
    "uvicorn.error", "uvicorn.access", "httpx", "httpx2", "httpcore", "openai", "websockets",
    "faster_whisper", "asyncio",
)  # fmt: skip
_FRAMES = 6
_TOKEN = re.compile(r"([?&]token=)[^&\s\"']+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


# uvicorn's complaints about what anybody may send as often as he likes. They name nobody, and a log
# that is full of them has lost what matters.
_NO_NEWS = (
    "ASGI callable returned without completing handshake.",  # refused before it was accepted
    "Invalid HTTP request received.",
    "Invalid UTF-8 sequence received from client.",
    "Unsupported upgrade request.",
)


def _is_news(record: logging.LogRecord) -> bool:
    return record.msg not in _NO_NEWS


class LineFormatter(logging.Formatter):
    """A record as one line: time (UTC), level, logger, message, and the exception if there is one.

    `journal`: for journald, which stamps the time itself and takes the severity from a prefix
    `<N>`. `colours`: ANSI colours by level. `tracebacks`: append the whole traceback, which makes
    more than one line of it, for people who debug at a terminal.
    """

    def __init__(
        self, *, colours: bool = False, journal: bool = False, tracebacks: bool = False
    ) -> None:
        super().__init__()
        self._colours = colours
        self._journal = journal
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        text = f"{record.name}: {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text += f" [{_compact(error)}]"
        line = _CONTROL.sub(_escape, _TOKEN.sub(r"\1***", text))
        if self._journal:
            line = f"<{_severity(record.levelno)}>{line}"
        else:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            line = f"{stamp}.{int(record.msecs):03d}Z {record.levelname:<7} {line}"
            if self._colours and record.levelno in _COLOURS:
                line = f"{_COLOURS[record.levelno]}{line}{_RESET}"
        if error is not None and self._tracebacks:
            line += "\n" + "".join(traceback.format_exception(error)).rstrip()
        return line


def configure(
    level: str, *, stream: TextIO | None = None, environ: Mapping[str, str] | None = None
) -> None:
    """Send every record of `level` ("debug", "info", "warning", "error") or above to `stream`.

    `stream` is standard error by default; colours only where that is a terminal. `environ` is
    looked at for JOURNAL_STREAM and NO_COLOR. At "debug" only the brain's own loggers are at
    DEBUG; the libraries stay at INFO. May be called again: the last call holds. For uvicorn, pass
    `log_config=None`, so that its records come this way.
    """
    stream = sys.stderr if stream is None else stream
    environ = {} if environ is None else environ
    terminal = stream.isatty()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        LineFormatter(
            colours=terminal and "NO_COLOR" not in environ,
            journal=not terminal and "JOURNAL_STREAM" in environ,
            tracebacks=terminal and level == "debug",
        )
    )
    threshold = _LEVELS[level]
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, LineFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(threshold, logging.INFO))
    logging.getLogger("brain").setLevel(threshold)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    logging.captureWarnings(True)


def _compact(error: BaseException) -> str:
    """`Type: message < function (file:line) < …`, the innermost frames first."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{f.name} ({f.filename.rsplit('/', 1)[-1]}:{f.lineno})" for f in reversed(frames)]
    return " < ".join([f"{type(error).__name__}: {error}", *places])


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def _severity(level: int) -> int:
    """Syslog's number, as journald reads it."""
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7
