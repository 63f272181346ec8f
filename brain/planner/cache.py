"""Plans for situations that come again and again, without asking the language model each time.

A few plans are kept for each situation, so that a robot that meets it twice in a row hears two
different lines, if the model has two.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from brain.planner.schema import Action, PlanRequest, Say
from brain.planner.situation import Situation, situation_of
from brain.planner.words import same_line

MOST_VARIANTS = 3
# A model that has only one answer is not asked for ever for another.
MOST_ASKED = 4
_AHEAD_DEG = 10.0

Side = Literal["left", "ahead", "right", ""]


@dataclass(frozen=True)
class Key:
    """Robots with the same key may get the same plan. `side`: where the ball is, if one is; a plan
    may speak of it."""

    situation: Situation
    side: Side


@dataclass(frozen=True)
class Draft:
    """A plan that isn't any robot's yet. `ball_bearing`: where the ball was, in degrees."""

    actions: tuple[Action, ...]
    ttl_ms: int
    ball_bearing: float = 0.0

    @property
    def lines(self) -> tuple[str, ...]:
        """What is said."""
        return tuple(action.text for action in self.actions if isinstance(action, Say))

    def says(self, line: str) -> bool:
        """Whether `line` is said in it; nobody says an empty one."""
        return bool(line) and any(same_line(line, own) for own in self.lines)


@dataclass(eq=False)
class _Variant:
    draft: Draft
    until: float


@dataclass(eq=False)
class _Entry:
    """The least recently used variant stands first."""

    variants: list[_Variant] = field(default_factory=list)
    asked: int = 0


def key_of(request: PlanRequest) -> Key:
    """The key of a world state."""
    situation = situation_of(request)
    side: Side = ""
    if situation.ball:
        ahead = abs(request.ball_bearing) <= _AHEAD_DEG
        side = "ahead" if ahead else "right" if request.ball_bearing > 0 else "left"
    return Key(situation, side)


class PlanCache:
    """At most `entries` situations, each plan for `seconds`; the least recently used go first.

    `clock` gives seconds from any beginning.
    """

    def __init__(self, *, entries: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most = entries
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key, last_line: str = "") -> Draft | None:
        """A plan for this situation that doesn't say `last_line`; None: ask the model.

        Where the model was asked often enough, any plan: its caller takes the line out.
        """
        entry = self._fresh(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        others = [v for v in entry.variants if not v.draft.says(last_line)]
        if not others and entry.asked < MOST_ASKED:
            return None
        chosen = (others or entry.variants)[0]
        entry.variants.remove(chosen)
        entry.variants.append(chosen)
        return chosen.draft

    def knows(self, key: Key) -> bool:
        """Whether there is a plan for this situation, so that only another one is of use."""
        return self._fresh(key) is not None

    def keep(self, key: Key, draft: Draft) -> None:
        """Remember a plan that the model made, unless the same is said in one that is there."""
        if not self._most:
            return
        entry = self._fresh(key) or _Entry()
        entry.asked += 1
        alike = any(_alike(variant.draft, draft) for variant in entry.variants)
        if not alike:
            entry.variants.append(_Variant(draft, self._clock() + self._seconds))
            del entry.variants[:-MOST_VARIANTS]
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def _fresh(self, key: Key) -> _Entry | None:
        """The entry without what is too old; forgotten when nothing is left of it."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = self._clock()
        entry.variants = [variant for variant in entry.variants if variant.until > now]
        if not entry.variants:
            del self._entries[key]
            return None
        return entry


def _alike(one: Draft, other: Draft) -> bool:
    return len(one.lines) == len(other.lines) and all(map(same_line, one.lines, other.lines))
