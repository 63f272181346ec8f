"""Hours of a robot's life, for trying a brain without a robot: world states, and what plans do.

Pure but for chance, which has a seed: the same seed and the same plans give the same life. Time is
the robot's own and costs nothing.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from robot_client.plans import Action, Emote, Gesture, Power, Say, Skill, WorldState
from robot_client.world_parts import Ball, Base, Battery, Faults, happens

TICK_MS = 200
HEARTBEAT_MS = 5_000
GAP_MS = 1_000  # a supervisor asks no more often
RECENT_MS, RECENT = 12_000, 6
# What happened most urgently is what is asked about.
URGENCY = (
    "fault", "obstacle_close", "picked_up", "charging", "low_battery", "button_pressed",
    "speech_heard", "ball_seen", "ball_lost", "fault_cleared", "put_down", "mode_change",
    "skill_done", "boot",
)  # fmt: skip


class World:
    """One robot in its room. Ask it for `next_state()`, tell it what it `did()`.

    By its seed the robot is one of three makes: a camera that tells neither confidence nor age (as
    in the contract's example), one that does, and one that reports its `power` too.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        make = self._rng.randrange(3)
        self._tells_vision = make > 0
        self._tells_power = make > 1
        self.now_ms = self._rng.randint(1_000, 60_000)
        self._seq = 0
        self._asked_ms = self.now_ms
        self._battery = Battery(mv=self._rng.uniform(6_900, 8_350))
        self._ball = Ball()
        self._faults = Faults()
        self._base = Base()
        self._mode = "BOOT"
        self._wants = "WANDER"
        self._held_ms = 0
        self._talking_ms = 0
        self._listening_ms = 0
        self._pending: set[str] = set()
        self._recent: deque[tuple[int, str]] = deque(maxlen=RECENT)
        self._happened("boot")

    def next_state(self) -> WorldState:
        """Live on until the supervisor asks for a plan, and what it sends then."""
        self._tick()
        while not self._asks():
            self._tick()
        trigger = min(self._pending, key=URGENCY.index, default="heartbeat")
        self._pending.clear()
        self._asked_ms = self.now_ms
        self._seq += 1
        return self._state(trigger)

    def wait(self, ms: float) -> None:
        """Live on for so long, in whole ticks, without asking."""
        until = self.now_ms + ms
        while self.now_ms + TICK_MS <= until:
            self._tick()

    def did(self, actions: Sequence[Action]) -> None:
        """What the robot does now."""
        for action in actions:
            match action:
                case Say(text=text):
                    self._talking_ms = 400 + 65 * len(text)
                    self._remember("said something")
                case Emote(name=name):
                    self._remember(f"emote {name}")
                case Gesture(name=name):
                    self._gesture(name)
                    self._remember(f"gesture {name}")
                case Skill(name=name):
                    self._base.take_up(name)
                    self._remember(f"skill {name}")

    # -- a moment ----------------------------------------------------------------------------

    def _asks(self) -> bool:
        since = self.now_ms - self._asked_ms
        return since >= (GAP_MS if self._pending else HEARTBEAT_MS)

    def _tick(self) -> None:
        ms, rng = TICK_MS, self._rng
        self.now_ms += ms
        self._talking_ms = max(0, self._talking_ms - ms)
        self._listening_ms = max(0, self._listening_ms - ms)
        happened = [
            *self._battery.step(ms, moving=abs(self._base.speed) > 5),
            *self._ball.step(ms, rng),
            *self._faults.step(ms, rng),
            *self._hands(ms),
            *self._change_mode(ms),
        ]
        may_move = self._mode == "WANDER" and not self._held_ms
        happened += self._base.step(ms, rng, may_move=may_move, bearing=self._ball.bearing_deg)
        self._ball.turn(self._base.turning * ms / 1000)
        for trigger in happened:
            self._happened(trigger)

    def _hands(self, ms: int) -> list[str]:
        """What people do: press the button, speak, pick the robot up."""
        rng = self._rng
        if self._held_ms:
            self._held_ms = max(0, self._held_ms - ms)
            return [] if self._held_ms else ["put_down"]
        if happens(rng, ms, 600):
            self._held_ms = rng.randint(1_500, 12_000)
            return ["picked_up"]
        if happens(rng, ms, 90):
            return ["button_pressed"]
        if happens(rng, ms, 150):
            self._listening_ms = rng.randint(1_000, 4_000)
            return ["speech_heard"]
        return []

    def _change_mode(self, ms: int) -> list[str]:
        if happens(self._rng, ms, 240):
            self._wants = self._rng.choice(["WANDER", "WANDER", "IDLE", "TELEOP"])
        mode = self._wants
        if self._battery.charging:
            mode = "DOCKED"
        elif self._faults.grave:
            mode = "ERROR"
        if mode == self._mode:
            return []
        was, self._mode = self._mode, mode
        return [] if was == "BOOT" else ["mode_change"]

    def _gesture(self, name: str) -> None:
        if name == "back_up":
            self._base.back_up()
        elif name == "spin":
            self._ball.turn(self._rng.uniform(-180, 180))

    # -- what is told ------------------------------------------------------------------------

    def _happened(self, trigger: str) -> None:
        # What is no longer so is not asked about.
        self._pending -= {"ball_seen", "ball_lost"} if trigger.startswith("ball") else set()
        self._pending -= {"fault", "fault_cleared"} if trigger.startswith("fault") else set()
        self._pending.add(trigger)
        self._remember(trigger)

    def _remember(self, event: str) -> None:
        self._recent.append((self.now_ms, event))

    def _state(self, trigger: str) -> WorldState:
        rng, ball, base = self._rng, self._ball, self._base
        half_track = 1.2  # mm/s of a wheel for each degree/s of turning
        mv = round(self._battery.mv + rng.uniform(-15, 15) - abs(base.speed) * 0.3)
        return WorldState(
            seq=self._seq,
            monotonic_ts_ms=self.now_ms,
            mode=self._mode,
            battery_mv=None if self._tells_power and self._seq % 2 else mv,
            range_mm=round(base.range_mm),
            faults=tuple(self._faults.left_ms),
            clear_confidence=-1.0 if base.range_mm <= 0 else round(base.clear, 2),
            ball_detected=ball.detected,
            ball_confidence=round(ball.confidence, 2) if self._tells_vision else None,
            ball_bearing_deg=round(ball.bearing_deg, 1) if ball.detected else 0.0,
            vision_age_ms=ball.age_ms if self._tells_vision else None,
            speed_l_mm_s=round(base.speed - half_track * base.turning, 1),
            speed_r_mm_s=round(base.speed + half_track * base.turning, 1),
            v_capped=base.cap,
            w_capped=0.0,
            trigger=trigger,
            recent_events=tuple(e for at, e in self._recent if self.now_ms - at <= RECENT_MS),
            planner_active_skill=base.skill,
            face_talking=self._talking_ms > 0,
            face_listening=self._listening_ms > 0,
            power=self._power(mv) if self._tells_power else None,
        )

    def _power(self, mv: int) -> Power:
        battery = self._battery
        return Power(
            source="dock" if battery.charging else "battery",
            voltage_mv=mv,
            soc_pct=battery.percent,
            charging=battery.charging,
            ac_present=battery.charging,
            pmic_undervoltage="brownout" in self._faults.left_ms,
        )
