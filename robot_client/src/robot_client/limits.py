"""What a supervisor keeps a plan from doing: it may come too late, and repeat too soon. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from robot_client.plans import Action, Plan, Say


@dataclass(frozen=True)
class Cooldown:
    """Ms between two actions of a kind, and between two that are the same."""

    kind_ms: int
    key_ms: int


# The supervisor's own; its contract gives them.
COOLDOWNS: Mapping[str, Cooldown] = MappingProxyType(
    {
        "say": Cooldown(3000, 12000),
        "emote": Cooldown(600, 1800),
        "gesture": Cooldown(800, 2000),
        "skill": Cooldown(500, 500),
    }
)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a plan: `done` and `dropped` are its actions, in order.

    `stale`: the plan came after its time, and all of it is dropped.
    """

    done: tuple[Action, ...] = ()
    dropped: tuple[Action, ...] = ()
    stale: bool = False


def key(action: Action) -> str:
    """What makes two actions the same: a name, or the words but for case and spaces."""
    if isinstance(action, Say):
        return " ".join(action.text.casefold().split())
    return action.name


@dataclass
class Limits:
    """Remembers what one robot did, and judges its next plan by it. Times in the robot's own ms."""

    cooldowns: Mapping[str, Cooldown] = field(default_factory=lambda: COOLDOWNS)
    _last_of_kind: dict[str, int] = field(default_factory=dict)
    _last_of_key: dict[tuple[str, str], int] = field(default_factory=dict)

    def admit(self, plan: Plan, now_ms: int) -> Verdict:
        """What of `plan` is done at `now_ms`; its age counts from the state it was asked for.

        A dropped action starts no cooldown.
        """
        if now_ms - plan.monotonic_ts_ms > plan.ttl_ms:
            return Verdict(dropped=plan.actions, stale=True)
        done: list[Action] = []
        dropped: list[Action] = []
        for action in plan.actions:
            (done if self._may(action, now_ms) else dropped).append(action)
        return Verdict(tuple(done), tuple(dropped))

    def _may(self, action: Action, now_ms: int) -> bool:
        cooldown = self.cooldowns[action.kind]
        same = (action.kind, key(action))
        last = self._last_of_kind.get(action.kind)
        last_same = self._last_of_key.get(same)
        if last is not None and now_ms - last < cooldown.kind_ms:
            return False
        if last_same is not None and now_ms - last_same < cooldown.key_ms:
            return False
        self._forget(now_ms)
        self._last_of_kind[action.kind] = now_ms
        self._last_of_key[same] = now_ms
        return True

    def _forget(self, now_ms: int) -> None:
        """Spoken lines are without number; what has cooled down need not be remembered."""
        self._last_of_key = {
            same: at
            for same, at in self._last_of_key.items()
            if now_ms - at < self.cooldowns[same[0]].key_ms
        }
