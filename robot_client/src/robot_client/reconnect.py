"""When to connect again, and when not to. Pure: time and chance are passed in."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

_RETRY_AFTER = re.compile(r"retry_after_s\W{0,4}(\d+(?:\.\d+)?)")
_SECONDS = re.compile(r"\s*(\d{1,9})\s*")
MAX_RETRY_AFTER_S = 3600.0
TOKEN_REFUSED = 4401
_LATER_S = 5.0  # what "later" is, where nobody says when

# What is closed with these is tried again. Those above 4000 are the brain's own (PROTOCOL); the
# rest are of RFC 6455 and its registry, and may also come from a proxy before the brain.
_PASSES = {
    1000: "the brain closed the session",
    1001: "the brain is going down",
    1002: "the brain found a fault in how it was spoken to",
    1006: "the connection broke",
    1008: "the session was against a rule of the brain's or of a proxy's",
    1009: "a message was over the size limit",
    1011: "the brain failed",
    1012: "the brain is being restarted",
    1014: "a proxy can't reach the brain",
    4408: "the brain heard nothing from the robot for too long",
    4410: "the robot stopped reading",
    4413: "a message was over the size limit",
}
_STANDS = {
    4001: "replaced by a newer session with the same robot id",
    4400: "the brain can't serve this request",
    TOKEN_REFUSED: "the brain refuses the token",
}


@dataclass(frozen=True)
class Retry:
    """Connect again: at the back-off's own pace, or not before `after_s` seconds."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True)
class GiveUp:
    """Connecting again can't help; a person must read the reason.

    `code`: the close code 4001, 4400 or 4401; None where there was none.
    """

    reason: str
    code: int | None = None


def after_close(code: int | None, reason: str) -> Retry | GiveUp:
    """What a close code asks for. None: the connection broke without one."""
    said = f": {reason}" if reason else ""
    if code in _STANDS:
        return GiveUp(f"{_STANDS[code]}{said}", code)
    if code in _PASSES and reason.startswith(_PASSES[code]):
        return Retry(reason)
    if code == 4429:
        return Retry(f"the brain is full{said}", _told(reason))
    if code == 1013:
        wait = _told(reason)
        return Retry(f"the brain asks to come later{said}", _LATER_S if wait is None else wait)
    if code is None:
        return Retry(f"the connection broke{said}")
    return Retry(f"{_PASSES.get(code, f'closed with {code}')}{said}")


def after_refusal(status: int, retry_after: str | None) -> Retry | GiveUp:
    """What an HTTP status asks for that came instead of a WebSocket: the word of a proxy, mostly.

    retry_after: the header of that name. A date in it counts as nothing: a robot's clock is often
    wrong, and would make an hour of a minute.
    """
    if status in (401, 403):
        return GiveUp(f"the token is refused (missing or wrong): HTTP {status}", TOKEN_REFUSED)
    seconds = _SECONDS.fullmatch(retry_after or "")
    wait = min(float(seconds.group(1)), MAX_RETRY_AFTER_S) if seconds else None
    if status == 404:
        return Retry("there is no brain at this address: HTTP 404", wait)
    if status == 429:
        return Retry("the brain is full: HTTP 429", wait)
    if status in (502, 503, 504):
        return Retry(f"a proxy can't reach the brain: HTTP {status}", wait)
    return Retry(f"the brain answers with HTTP {status}", wait)


def _told(reason: str) -> float | None:
    """The seconds that a close reason names."""
    found = _RETRY_AFTER.search(reason)
    return min(float(found.group(1)), MAX_RETRY_AFTER_S) if found else None


@dataclass
class Backoff:
    """Delays that grow from `first_s` by `factor` to `limit_s`, each times 0.5 to 1 by chance.

    The jitter keeps a room full of robots from knocking all at once when their brain comes back.
    They begin anew after a connection of `steady_s`. A shorter one proves nothing: a brain that
    crashes a second after each start would otherwise be knocked at four times a second, for ever.
    """

    first_s: float = 0.25
    factor: float = 2.0
    limit_s: float = 5.0
    steady_s: float = 5.0
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next_delay(self, at_least_s: float | None = None) -> float:
        """Seconds to wait after one more failure; never less than what the brain asked for."""
        grown = min(self.limit_s, self.first_s * self.factor ** min(self.failures, 32))
        self.failures += 1
        delay = grown * self.rng.uniform(0.5, 1.0)
        return delay if at_least_s is None else max(delay, at_least_s * self.rng.uniform(1.0, 1.1))

    def lasted(self, seconds: float) -> None:
        """A connection has ended that the brain had answered on for so long."""
        if seconds >= self.steady_s:
            self.reset()

    def reset(self) -> None:
        """The next failure is the first again."""
        self.failures = 0
