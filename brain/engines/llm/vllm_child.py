"""In the process in which vLLM's worker runs: it ends with the brain that started it.

vLLM's engine core outlives a brain that is killed, and keeps its share of the GPU, so that the next
brain finds no room. (Under systemd all processes of a service end with it; elsewhere nobody sees to
that.)
"""

from __future__ import annotations

import os
import signal
import threading
import time

from brain.engines.llm.vllm_options import BRAIN_PID

_LOOK_S = 1.0
"""Between two looks at the brain. (Not every kernel can tell of a process's end, pidfd.)"""


class EndsWithTheBrain:
    """vLLM makes this a base of its worker, and imports this module for it."""


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _watch(brain: int) -> None:
    # The worker is the engine core itself, or a child of it. (An orphan's parent is a stranger.)
    core = os.getppid()
    ending = (core, os.getpid()) if core != brain and _is_there(brain) else (os.getpid(),)
    while _is_there(brain):
        time.sleep(_LOOK_S)
    for process in ending:
        os.kill(process, signal.SIGKILL)


if _brain := int(os.environ.get(BRAIN_PID, "0")):
    threading.Thread(target=_watch, args=(_brain,), name="ends-with-the-brain", daemon=True).start()
