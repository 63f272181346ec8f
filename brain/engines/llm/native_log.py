"""What llama.cpp says while it makes a model or a context: hundreds of lines, the first error of
which is worth telling."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llama_cpp import llama_cpp as api

from brain.engines.one_line import one_line

_log = logging.getLogger("brain.engines.llm.llamacpp")

_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_MOST_ERRORS = 20


class Heard(threading.local):
    """What this thread's making of a model or a context has met with."""

    now = False

    def __init__(self) -> None:
        self.errors: list[str] = []

    @property
    def first_error(self) -> str:
        """On one line, and without the name of the function; empty: there was none."""
        if not self.errors:
            return ""
        line = one_line(self.errors[0])
        function, colon, rest = line.partition(": ")
        said = rest if colon and " " not in function else line
        return said.removeprefix("error loading model: ").removesuffix(".")


_heard = Heard()


@contextmanager
def heard() -> Iterator[Heard]:
    """Meanwhile what it says is logged, and its errors kept. Later it tells of the tokens that are
    spoken, and those are nobody's business."""
    _heard.errors = []
    _heard.now = True
    try:
        yield _heard
    finally:
        _heard.now = False


def _log_line(level: int, text: bytes, _data: object) -> None:
    if not _heard.now:
        return
    if level == _ERROR and len(_heard.errors) < _MOST_ERRORS:
        _heard.errors.append(text.decode("utf-8", "replace"))
    # What goes wrong is told by return values as well.
    if _log.isEnabledFor(logging.DEBUG) and (line := text.decode("utf-8", "replace").strip()):
        _log.debug("%s", line)


_LOG_LINE = api.llama_log_callback(_log_line)  # kept: the library holds only its address


def quiet() -> None:
    """From now on it says everything to us instead of to standard error."""
    api.llama_log_set(_LOG_LINE, ctypes.c_void_p(0))


def quiet_eyes() -> None:
    """The same for what makes a model see."""
    from llama_cpp import mtmd_cpp

    mtmd_cpp.mtmd_helper_log_set(_LOG_LINE, ctypes.c_void_p(0))
