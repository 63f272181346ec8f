"""When to connect again, and when not to. Pure: time and chance are passed in."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

_RETRY_AFTER = re.compile(r"retry_after_s\W{0,4}(\d+(?:\.\d+)?)")
MAX_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True)
class Retry:
    """Connect again: at the back-off's own pace, or not before `after_s` seconds."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True)
class GiveUp:
    """Connecting again can't help; a person must read the reason."""

    reason: str


def after_close(code: int | None, reason: str) -> Retry | GiveUp:
    """What a close code asks for. None: the connection broke without one."""
    said = f": {reason}" if reason else ""
    if code == 4001:
        return GiveUp(f"replaced by a newer session with the same robot id{said}")
    if code == 4400:
        return GiveUp(f"the brain can't serve this request{said}")
    if code == 4401:
        return GiveUp(f"the brain refuses the token (missing or wrong){said}")
    if code == 4429:
        found = _RETRY_AFTER.search(reason)
        wait = min(float(found.group(1)), MAX_RETRY_AFTER_S) if found else None
        return Retry(f"the brain is full{said}", wait)
    known = {
        1000: "the brain closed the session",
        1001: "the brain is going down",
        4408: "the brain heard nothing from the robot for too long",
        4410: "the robot stopped reading",
        4413: "a message was over the size limit",
    }
    if code is None or code == 1006:
        return Retry(f"the connection broke{said}")
    return Retry(f"{known.get(code, f'closed with {code}')}{said}")


@dataclass
class Backoff:
    """Delays that grow from `first_s` by `factor` to `limit_s`, each times 0.5 to 1 by chance.

    The jitter keeps a room full of robots from knocking all at once when their brain comes back.
    """

    first_s: float = 0.25
    factor: float = 2.0
    limit_s: float = 8.0
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next_delay(self, at_least_s: float | None = None) -> float:
        """Seconds to wait after one more failure; never less than what the brain asked for."""
        grown = min(self.limit_s, self.first_s * self.factor ** min(self.failures, 32))
        self.failures += 1
        delay = grown * self.rng.uniform(0.5, 1.0)
        return delay if at_least_s is None else max(delay, at_least_s * self.rng.uniform(1.0, 1.1))

    def reset(self) -> None:
        """The brain has answered: the next failure is the first again."""
        self.failures = 0
