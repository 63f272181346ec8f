"""What llama.cpp says: hundreds of lines a model, of which the first error is worth telling."""

from __future__ import annotations

import ctypes
import logging

from llama_cpp import llama_cpp as api

from brain.engines.one_line import one_line

_log = logging.getLogger("brain.engines.llm.llamacpp")

_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_errors: list[str] = []
_MOST_ERRORS = 20


def _log_line(level: int, text: bytes, _data: object) -> None:
    if level == _ERROR and len(_errors) < _MOST_ERRORS:
        _errors.append(text.decode("utf-8", "replace"))
    # What goes wrong is told by return values as well.
    if _log.isEnabledFor(logging.DEBUG) and (line := text.decode("utf-8", "replace").strip()):
        _log.debug("%s", line)


_LOG_LINE = api.llama_log_callback(_log_line)  # kept: the library holds only its address


def quiet() -> None:
    """From now on it says everything to us instead of to standard error."""
    api.llama_log_set(_LOG_LINE, ctypes.c_void_p(0))


def forget_errors() -> None:
    """Something new begins."""
    _errors.clear()


def first_error() -> str:
    """The first error since, on one line and without the name of the function; empty: none."""
    if not _errors:
        return ""
    line = one_line(_errors[0])
    function, colon, rest = line.partition(": ")
    said = rest if colon and " " not in function else line
    return said.removeprefix("error loading model: ").removesuffix(".")
