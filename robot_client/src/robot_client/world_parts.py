"""The parts of a simulated robot's world: each moves on by a step of time. Pure but for chance.

A part's `step(ms, …)` returns the triggers that arose. The figures are plain guesses at a small
robot in a living room; what matters is that everything happens that a supervisor reports.
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass, field

FULL_MV, EMPTY_MV, LOW_MV = 8_350, 6_500, 6_800
NEAR_MM = 500
SURE, FRESH_MS = 0.80, 500
FAULTS = (
    "TILT", "STALL", "ESTOP", "IMU_FAIL", "CMD_TIMEOUT", "OVERCURRENT", "encoder", "vision",
    "brownout",
)  # fmt: skip
# The robot won't move with these.
GRAVE = frozenset({"TILT", "ESTOP", "IMU_FAIL", "STALL"})


def happens(rng: random.Random, ms: int, every_s: float) -> bool:
    """Whether something that happens every so many seconds, by chance, does so now."""
    return rng.random() < _chance(ms, every_s)


@functools.cache
def _chance(ms: int, every_s: float) -> float:
    return -math.expm1(-ms / 1000 / every_s)


@dataclass
class Battery:
    """Drains in a few hours, in minutes near the end of its charge; docks and charges again."""

    mv: float = FULL_MV
    charging: bool = False
    low: bool = False

    def step(self, ms: int, *, moving: bool) -> list[str]:
        """Drain or charge."""
        if self.charging:
            self.mv += ms / 1000 * 1.6
            if self.mv >= FULL_MV:
                self.charging = False
            self.low = self.low and self.mv < LOW_MV + 100
            return []
        self.mv -= ms / 1000 * (0.26 if moving else 0.12)
        if self.mv <= EMPTY_MV:
            self.charging = True
            return ["charging"]
        if not self.low and self.mv < LOW_MV:
            self.low = True
            return ["low_battery"]
        return []

    @property
    def percent(self) -> float:
        """The charge that the voltage stands for."""
        return round(100 * min(1.0, max(0.0, (self.mv - EMPTY_MV) / (FULL_MV - EMPTY_MV))), 1)


@dataclass
class Ball:
    """Rolls in and out of sight. The camera is at times unsure of it, or late."""

    left_ms: int = 0
    bearing_deg: float = 0.0
    confidence: float = 0.0
    age_ms: int = -1
    certain: bool = False
    _roll: float = 0.0

    @property
    def detected(self) -> bool:
        """Whether the camera reports a ball."""
        return self.left_ms > 0

    def step(self, ms: int, rng: random.Random) -> list[str]:
        """Roll on. `ball_seen` when it becomes certain, `ball_lost` when it is gone."""
        was = self.certain
        if self.left_ms > 0:
            self.left_ms -= ms
            self._roll += rng.uniform(-4, 4)
            self.bearing_deg += self._roll * ms / 1000
            self.confidence = min(0.99, max(0.4, self.confidence + rng.uniform(-0.06, 0.065)))
            self.age_ms = rng.randint(20, 160) if rng.random() < 0.93 else rng.randint(300, 900)
            if abs(self.bearing_deg) > 60:
                self.left_ms = 0
        elif happens(rng, ms, 35):
            self.left_ms = rng.randint(2_000, 25_000)
            self.bearing_deg = rng.uniform(-50, 50)
            self._roll = rng.uniform(-6, 6)
            self.confidence = rng.uniform(0.55, 0.97)
            self.age_ms = rng.randint(20, 160)
        if not self.detected:
            self.confidence, self.age_ms = 0.0, -1
        seen = self.detected and self.confidence >= SURE and self.age_ms <= FRESH_MS
        # A late frame doesn't make a ball lost; only one that is gone does.
        self.certain = seen or (was and self.detected)
        if self.certain != was:
            return ["ball_seen" if self.certain else "ball_lost"]
        return []

    def turn(self, degrees: float) -> None:
        """The robot has turned towards positive bearings."""
        self.bearing_deg -= degrees


@dataclass
class Faults:
    """Come about every quarter of an hour and go by themselves."""

    left_ms: dict[str, int] = field(default_factory=dict)

    @property
    def grave(self) -> bool:
        """Whether the robot must not move."""
        return not GRAVE.isdisjoint(self.left_ms)

    def step(self, ms: int, rng: random.Random) -> list[str]:
        """One may come, and others end."""
        before = set(self.left_ms)
        self.left_ms = {name: left - ms for name, left in self.left_ms.items() if left > ms}
        triggers = ["fault_cleared"] if before and not self.left_ms else []
        if happens(rng, ms, 900):
            name = rng.choice(FAULTS)
            triggers += [] if name in self.left_ms else ["fault"]
            self.left_ms[name] = rng.randint(2_000, 40_000)
        return triggers


@dataclass
class Base:
    """Two wheels and a range finder. Drives by its skill, within the cap of its own reflexes."""

    range_mm: float = 1_500.0
    clear: float = 0.9
    skill: str = "patrol_drift"
    speed: float = 0.0
    turning: float = 0.0
    cap: float = 120.0
    near: bool = False
    skill_ms: int = 0
    _back_ms: int = 0

    def step(self, ms: int, rng: random.Random, *, may_move: bool, bearing: float) -> list[str]:
        """Drive. `obstacle_close` when something comes near, `skill_done` when a skill ends."""
        self.skill_ms += ms
        self.cap = 0.0 if not may_move else 120.0 if self.range_mm > 700 or self._blind else 40.0
        wanted, turning = self._drive(bearing, rng)
        if self._back_ms > 0:
            self._back_ms -= ms
            wanted, turning = -60.0, 0.0
        if not may_move:
            wanted, turning = 0.0, 0.0
        self.speed += (min(wanted, self.cap) - self.speed) * min(1.0, ms / 300)
        self.turning = turning
        if happens(rng, ms, 25):  # a chair, a leg, a wall; or the way is free again
            self.range_mm = rng.choice([rng.uniform(120, 700), rng.uniform(500, 3_000)])
            self.clear = rng.uniform(0.05, 0.3) if rng.random() < 0.1 else rng.uniform(0.4, 1.0)
        elif not self._blind:
            self.range_mm -= self.speed * ms / 1000
            if turning and self.range_mm < 900:
                self.range_mm += 350 * ms / 1000
            self.range_mm = min(4_000.0, max(40.0, self.range_mm))
        if happens(rng, ms, 240):
            self.range_mm = -1.0  # nothing came back
        near = 0 < self.range_mm < NEAR_MM
        triggers = ["obstacle_close"] if near and not self.near else []
        # A hand's breadth more to be free again, or it would flicker.
        self.near = near or (self.near and 0 < self.range_mm < NEAR_MM + 60)
        if self.skill != "patrol_drift" and self.skill_ms > 6_000:
            self.take_up("patrol_drift")
            triggers.append("skill_done")
        return triggers

    def take_up(self, skill: str) -> None:
        """Begin a skill; the same one goes on."""
        if skill != self.skill:
            self.skill, self.skill_ms = skill, 0

    def back_up(self) -> None:
        """A second backwards."""
        self._back_ms = 1_000

    @property
    def _blind(self) -> bool:
        return self.range_mm <= 0

    def _drive(self, bearing: float, rng: random.Random) -> tuple[float, float]:
        """Speed in mm/s and turning in degrees/s that the skill asks for."""
        match self.skill:
            case "investigate_ball" | "approach_until_range":
                return (80.0 if self.range_mm > 300 else 0.0), max(-40.0, min(40.0, bearing))
            case "avoid_obstacle":
                return 0.0, 45.0
            case "retreat_and_recover":
                return -60.0, 0.0
            case "scan_for_target":
                return 0.0, 30.0
            case "greet_on_button":
                return 0.0, 0.0
            case _:
                turning = 45.0 if self.near else rng.uniform(-5, 5)
                return (0.0 if self.near else 100.0), turning
