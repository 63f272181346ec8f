"""The self-test against the brain that runs, or against one of its own."""

from __future__ import annotations

import asyncio
import sys

from brain.ops.child_brain import child_brain
from brain.ops.doctor import local_brain
from brain.ops.selftest.talk import Outcome, talk
from brain.settings import Settings


def run(settings: Settings, *, own: bool = False) -> Outcome:
    """Speak the clip. `own`: to a brain that is started for it with these settings, even if one
    runs; so it is done in any case where none does. Never raises for what the brain does."""
    running = local_brain.look(settings)
    if not own and running.is_a == "brain":
        address = running.address.replace("http", "ws", 1)
        return asyncio.run(talk(address, local_brain.token(settings)))
    print(f"starting a brain, profile {settings.brain_profile} …", file=sys.stderr)
    try:
        with child_brain(settings) as (host, port):
            return asyncio.run(talk(f"ws://{host}:{port}", ""))
    except (OSError, RuntimeError) as error:
        # (The last line of its log is what it ended with.)
        return Outcome(trouble=f"the brain did not start: {str(error).strip().splitlines()[-1]}")
