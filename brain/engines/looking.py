"""Looks at what an engine is made of or needs, without building it: files, and what is outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from brain.engines.one_line import one_line
from brain.engines.ports import EngineError

_log = logging.getLogger(__name__)

PROBE_S = 4.0
"""Between two looks at what an engine needs outside this process."""
PROBE_AGAIN_S = 1.0
"""A blip isn't an outage: the second look decides."""
FILES_S = 1.0
"""Between two looks at the files of an engine that is down."""
_PROBE_PATIENCE_S = 2.5


def fingerprint(files: Iterable[Path]) -> str:
    """Sizes and times of change of these files; another one for whatever becomes of any of them.

    Blocks as long as their disk does. Never raises.
    """
    return " ".join(_of_file(file) for file in files)


def _of_file(file: Path) -> str:
    try:
        found = file.stat()
    except (OSError, ValueError) as error:  # not there, a loop of links, no name of a file
        return f"{file}:{type(error).__name__}"
    return f"{file}:{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


async def probed(probe: Callable[[], Awaitable[None]], *, again: bool) -> str:
    """Why the engine isn't there; empty if it is. `again`: at the last look it wasn't."""
    try:
        await asyncio.wait_for(probe(), _PROBE_PATIENCE_S)
    except EngineError as error:
        return str(error)
    except asyncio.TimeoutError:
        return f"It didn't answer within {_PROBE_PATIENCE_S:g} s."
    except Exception as error:  # noqa: BLE001 - a probe may raise anything; the watch must go on
        _log.log(logging.DEBUG if again else logging.ERROR, "A look failed.", exc_info=True)
        return f"Looking for it failed: {type(error).__name__}: {one_line(str(error))}"
    return ""
