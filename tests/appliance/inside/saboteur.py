"""`brain serve` as it is installed, with two faults on demand. A stand-in for a GPU driver that
wedges, and for a library that blocks the event loop; it exists in this test alone.

A file /run/brain/hang-mind: the mind's thread hangs at its next work, deaf to its cancel.
A file /run/brain/hang-loop: the event loop hangs with the next question to the mind.
Each file is good for one hang, and gone after it.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from brain.cli import main
from brain.engines.llm.batcher import Batcher
from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.recipes import minds

ORDERS = Path("/run/brain")


def ordered(name: str) -> bool:
    try:
        (ORDERS / name).unlink()
    except FileNotFoundError:
        return False
    print(f"saboteur: {name}", file=sys.stderr, flush=True)
    return True


serve, stream = Batcher.serve, LlamaCppMind.stream


def wedged_serve(batcher: Batcher) -> None:
    if ordered("hang-mind"):
        threading.Event().wait()
    serve(batcher)


def blocking_stream(mind: LlamaCppMind, *args: Any, **options: Any) -> Any:
    if ordered("hang-loop"):
        time.sleep(3600)
    return stream(mind, *args, **options)


if __name__ == "__main__":
    vars(minds)["GRACE_S"] = 1.0
    Batcher.serve = wedged_serve  # type: ignore[method-assign]
    LlamaCppMind.stream = blocking_stream  # type: ignore[method-assign]
    sys.exit(main())
