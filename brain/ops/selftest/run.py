"""The self-test against the brain that runs, or against one of its own."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from brain.ops.child_brain import child_brain
from brain.ops.doctor import local_brain
from brain.ops.doctor.facts import RunningBrain
from brain.ops.selftest.talk import Outcome, talk
from brain.settings import Settings

_LOADING_S = 600.0
_PAUSE_S = 2.0


def run(settings: Settings, *, own: bool = False) -> Outcome:
    """Speak the clip. `own`: to a brain that is started for it with these settings, even if one
    runs; so it is done in any case where none does. Never raises for what the brain does."""
    running = local_brain.look(settings)
    if not own and running.is_a == "brain":
        if not loaded(lambda: local_brain.look(settings), pause=time.sleep):
            return Outcome(trouble=f"its engines are still loading after {_LOADING_S:g} s")
        address = running.address.replace("http", "ws", 1)
        return asyncio.run(talk(address, local_brain.token(settings)))
    print(f"starting a brain, profile {settings.brain_profile} …", file=sys.stderr)
    try:
        with child_brain(settings) as (host, port):
            return asyncio.run(talk(f"ws://{host}:{port}", ""))
    except (OSError, RuntimeError) as error:
        # (The last line of its log is what it ended with.)
        return Outcome(trouble=f"the brain did not start: {str(error).strip().splitlines()[-1]}")


def loaded(look: Callable[[], RunningBrain], *, pause: Callable[[float], None]) -> bool:
    """Wait until the engines of the profile are there or given up on: until then the embedded ones
    would answer in their place. False after 10 minutes."""
    for waited in range(round(_LOADING_S / _PAUSE_S)):
        loading = look().ready.get("loading")
        if not loading:
            return True
        if not waited:
            print(f"waiting for {', '.join(loading)} to be loaded …", file=sys.stderr)
        pause(_PAUSE_S)
    return False
