"""World states and plans as `/plan` has them, and the check that a plan is one. Pure.

Names, bounds and units are the supervisor's contract. Nothing is clamped or mended: a robot that
moves among children doesn't guess what a plan may have meant.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

EMOTIONS = frozenset({
    "neutral", "happy", "excited", "curious", "sad", "scared", "angry", "surprised", "sleepy",
    "love", "silly", "thinking", "confused",
})  # fmt: skip
GESTURES = frozenset({
    "blink", "wink_l", "wink_r", "confused", "laugh", "surprise", "heart", "x_eyes", "sleepy",
    "rage", "nod", "headshake", "wiggle", "look_at", "spin", "back_up",
})  # fmt: skip
OFFERED_SKILLS = frozenset(
    {"patrol_drift", "investigate_ball", "avoid_obstacle", "greet_on_button"}
)
ALL_SKILLS = OFFERED_SKILLS | {"scan_for_target", "approach_until_range", "retreat_and_recover"}

MAX_ACTIONS = 5
MAX_SAY_CHARS = 200
MIN_TTL_MS, MAX_TTL_MS = 500, 5000


# -- what the robot says of its world ------------------------------------------------------------


@dataclass(frozen=True)
class Power:
    """The battery as newer robots report it. Voltage in mV, charge in percent."""

    source: str = "battery"
    voltage_mv: int | None = None
    soc_pct: float | None = None
    charging: bool = False
    ac_present: bool = False
    pmic_undervoltage: bool = False


@dataclass(frozen=True)
class WorldState:
    """What a robot knows of its world at one moment.

    Distances in mm, speeds in mm/s, angles in degrees, times in ms. `clear_confidence` and
    `vision_age_ms` of -1 are unknown, and so is a `range_mm` below 1. A `ball_confidence` or
    `vision_age_ms` of None isn't sent, as by robots whose camera doesn't tell. `seq` and
    `monotonic_ts_ms` rise; the answer carries them back.
    """

    seq: int
    monotonic_ts_ms: int
    mode: str
    range_mm: int
    battery_mv: int | None = None
    faults: tuple[str, ...] = ()
    clear_confidence: float = -1.0
    ball_detected: bool = False
    ball_confidence: float | None = None
    ball_bearing_deg: float = 0.0
    vision_age_ms: int | None = None
    speed_l_mm_s: float = 0.0
    speed_r_mm_s: float = 0.0
    v_capped: float = 0.0
    w_capped: float = 0.0
    trigger: str = "heartbeat"
    recent_events: tuple[str, ...] = ()
    planner_active_skill: str = "patrol_drift"
    face_talking: bool = False
    face_listening: bool = False
    power: Power | None = None

    def as_json(self, robot_id: str) -> dict[str, Any]:
        """The body of a request. What is None is left out."""
        fields = dataclasses.asdict(self)
        return {"robot_id": robot_id, **{k: v for k, v in fields.items() if v is not None}}


# -- what the robot is to do ---------------------------------------------------------------------


@dataclass(frozen=True)
class Say:
    """Words to be spoken, 200 characters at most."""

    text: str
    kind: ClassVar[str] = "say"


@dataclass(frozen=True)
class Emote:
    """A face, held until the next one; intensity from 0 to 1."""

    name: str
    intensity: float
    kind: ClassVar[str] = "emote"


@dataclass(frozen=True)
class Gesture:
    """A movement of face or body; of `params` only look_at's `bearing` (degrees) is known."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    kind: ClassVar[str] = "gesture"


@dataclass(frozen=True)
class Skill:
    """A behaviour of the base, until the next one."""

    name: str
    kind: ClassVar[str] = "skill"


Action = Say | Emote | Gesture | Skill


@dataclass(frozen=True)
class Plan:
    """The answer to one world state. It is void when it is older than `ttl_ms`."""

    plan_id: str
    seq: int
    monotonic_ts_ms: int
    server_monotonic_ts_ms: int
    actions: tuple[Action, ...]
    ttl_ms: int


class BadPlan(Exception):
    """The brain answered with what the contract doesn't allow; the robot does nothing of it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


# -- the check -----------------------------------------------------------------------------------


def plan_from_json(
    body: object,
    asked: WorldState,
    robot_id: str,
    *,
    skills: frozenset[str] = OFFERED_SKILLS,
    max_actions: int = MAX_ACTIONS,
) -> Plan:
    """The plan in a decoded answer to `asked`. Raises `BadPlan` for anything out of the contract.

    New fields beside the known ones may come; new fields within an action may not, because what
    an action means would hang on them.
    """
    if not isinstance(body, Mapping):
        raise BadPlan("plan", "not a JSON object")
    echoed = {"robot_id": robot_id, "seq": asked.seq, "monotonic_ts_ms": asked.monotonic_ts_ms}
    for name, sent in echoed.items():
        if (got := body.get(name)) != sent or isinstance(got, bool):
            raise BadPlan(name, f"{sent!r} was sent and {got!r} came back")
    plan_id = body.get("plan_id")
    if not isinstance(plan_id, str) or not plan_id:
        raise BadPlan("plan_id", f"not a name: {plan_id!r}")
    ttl_ms = _integer(body, "ttl_ms")
    if not MIN_TTL_MS <= ttl_ms <= MAX_TTL_MS:
        raise BadPlan("ttl_ms", f"{ttl_ms} isn't within {MIN_TTL_MS} to {MAX_TTL_MS}")
    actions = body.get("actions")
    if not isinstance(actions, Sequence) or isinstance(actions, str):
        raise BadPlan("actions", f"not a list: {actions!r}")
    if len(actions) > max_actions:
        raise BadPlan("actions", f"{len(actions)} of them; {max_actions} are allowed")
    return Plan(
        plan_id=plan_id,
        seq=asked.seq,
        monotonic_ts_ms=asked.monotonic_ts_ms,
        server_monotonic_ts_ms=_integer(body, "server_monotonic_ts_ms"),
        actions=tuple(_action(action, f"actions[{i}]", skills) for i, action in enumerate(actions)),
        ttl_ms=ttl_ms,
    )


def _action(value: object, where: str, skills: frozenset[str]) -> Action:
    if not isinstance(value, Mapping):
        raise BadPlan(where, f"not a JSON object: {value!r}")
    match value.get("action"):
        case "say":
            _only(value, where, "text")
            return Say(_words(value.get("text"), f"{where}.text"))
        case "emote":
            _only(value, where, "name", "intensity")
            name = _one_of(value.get("name"), EMOTIONS, f"{where}.name")
            return Emote(name, _number(value.get("intensity"), 0, 1, f"{where}.intensity"))
        case "gesture":
            _only(value, where, "name", "params")
            name = _one_of(value.get("name"), GESTURES, f"{where}.name")
            return Gesture(name, _params(value.get("params", {}), name, f"{where}.params"))
        case "skill":
            _only(value, where, "name")
            return Skill(_one_of(value.get("name"), skills, f"{where}.name"))
        case other:
            raise BadPlan(f"{where}.action", f"no kind of action: {other!r}")


def _only(value: Mapping[str, Any], where: str, *names: str) -> None:
    unknown = sorted(map(str, value.keys() - {"action", *names}))
    if unknown:
        raise BadPlan(where, f"unknown fields: {', '.join(unknown)}")


def _words(text: object, where: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise BadPlan(where, f"no words: {text!r}")
    if len(text) > MAX_SAY_CHARS:
        raise BadPlan(where, f"{len(text)} characters; {MAX_SAY_CHARS} are allowed")
    return text


def _params(params: object, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(params, Mapping):
        raise BadPlan(where, f"not a JSON object: {params!r}")
    if name == "look_at" and "bearing" in params:
        _number(params["bearing"], -180, 180, f"{where}.bearing")
    return dict(params)


def _one_of(name: object, known: frozenset[str], where: str) -> str:
    if not isinstance(name, str) or name not in known:
        raise BadPlan(where, f"unknown: {name!r}")
    return name


def _number(value: object, low: float, high: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise BadPlan(where, f"not a number: {value!r}")
    if not low <= value <= high:
        raise BadPlan(where, f"{value} isn't within {low} to {high}")
    return float(value)


def _integer(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadPlan(name, f"not a whole number: {value!r}")
    return value
