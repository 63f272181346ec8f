"""systemd's watchdog, fed only while everything that ought to make progress does.

That the event loop turns is shown by the feeding itself, which is a task of it; a wedged engine
would not hold that up, so the engines are asked each time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from brain.ops.notify import Notifier

log = logging.getLogger(__name__)

# The manager's queue was full; it allows for two intervals.
_AGAIN_S = 0.5


async def keep_fed(
    notifier: Notifier, interval_s: float | None, stalled: Callable[[], str]
) -> None:
    """Feed the watchdog every `interval_s` seconds until cancelled, except while `stalled` says
    why this process can't go on; the manager then ends and restarts it.

    Returns at once where nobody watches (`interval_s` is None).
    """
    if interval_s is None:
        return
    told = ""
    while True:
        reason = _reason(stalled)
        if reason and reason != told:
            log.error("the watchdog isn't fed any more: %s", reason)
            notifier.status(f"stalled: {reason}")
        elif told and not reason:
            log.warning("the watchdog is fed again")
        told = reason
        fed = bool(reason) or notifier.watchdog()
        await asyncio.sleep(interval_s if fed else min(interval_s, _AGAIN_S))


def _reason(stalled: Callable[[], str]) -> str:
    try:
        return stalled()
    except Exception as error:  # told here, or nobody would know why the process ended
        log.exception("Asking whether the engines make progress failed.")
        return f"asking failed: {type(error).__name__}"
