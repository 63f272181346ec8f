"""What `/plan` takes and gives, as pydantic models, and the JSON Schema that holds a model to it.

Field names, bounds and symbols are the supervisor's contract. Values out of range are rejected,
never clamped.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Emotion = Literal[
    "neutral", "happy", "excited", "curious", "sad", "scared", "angry", "surprised", "sleepy",
    "love", "silly", "thinking", "confused",
]  # fmt: skip
Gesture = Literal[
    "blink", "wink_l", "wink_r", "confused", "laugh", "surprise", "heart", "x_eyes", "sleepy",
    "rage", "nod", "headshake", "wiggle", "look_at", "spin", "back_up",
]  # fmt: skip
Skill = Literal[
    "patrol_drift", "investigate_ball", "avoid_obstacle", "greet_on_button",
    "scan_for_target", "approach_until_range", "retreat_and_recover",
]  # fmt: skip

EMOTIONS: tuple[str, ...] = Emotion.__args__  # type: ignore[attr-defined]
GESTURES: tuple[str, ...] = Gesture.__args__  # type: ignore[attr-defined]
OFFERED_SKILLS: tuple[str, ...] = (
    "patrol_drift", "investigate_ball", "avoid_obstacle", "greet_on_button",
)  # fmt: skip
ALL_SKILLS: tuple[str, ...] = Skill.__args__  # type: ignore[attr-defined]

MAX_SAY_CHARS = 200
MIN_TTL_MS, DEFAULT_TTL_MS, MAX_TTL_MS = 500, 2000, 5000
MAX_BEARING_DEG = 180

# Far beyond what any robot sends; what is over them is no world state but a mistake.
_MOST_FAULTS, _MOST_EVENTS, _LONGEST_WORD = 64, 256, 128
_MOST_PARAMS_CHARS = 500

Reading = Annotated[int, Field(ge=-(2**31), lt=2**31)]
# Echoed: what isn't just an integer would come back as something else.
Counter = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Word = Annotated[str, Field(max_length=_LONGEST_WORD)]


class Power(BaseModel):
    """The battery as newer robots report it. Voltages in mV, charge in percent."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    source: Word = ""
    voltage_mv: Reading | None = None
    soc_pct: float | None = None
    charging: bool = False
    ac_present: bool = False
    pmic_undervoltage: bool = False


def _confidence(value: float) -> float:
    if value < 0 and value != -1:
        raise ValueError("-1 (unknown), or from 0 to 1")
    return value


class PlanRequest(BaseModel):
    """A snapshot of the robot's world. Distances in mm, speeds in mm/s, angles in degrees.

    `clear_confidence` -1 is unknown, `vision_age_ms` -1 is unknown. Unknown fields are ignored.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    robot_id: str = Field(min_length=1, max_length=64)
    seq: Counter
    monotonic_ts_ms: Counter
    mode: Word
    battery_mv: Reading | None = None
    range_mm: Reading
    faults: list[Word] = Field(default=[], max_length=_MOST_FAULTS)
    clear_confidence: Annotated[float, AfterValidator(_confidence)] = Field(default=-1.0, le=1.0)
    ball_detected: bool = False
    ball_confidence: float = 0.0
    ball_bearing_deg: float = Field(default=0.0, ge=-360, le=360)
    vision_age_ms: Reading = -1
    speed_l_mm_s: float = 0.0
    speed_r_mm_s: float = 0.0
    v_capped: float = 0.0
    w_capped: float = 0.0
    trigger: Word = "heartbeat"
    recent_events: list[Word] = Field(default=[], max_length=_MOST_EVENTS)
    planner_active_skill: Word = "patrol_drift"
    face_talking: bool = False
    face_listening: bool = False
    power: Power | None = None

    @model_validator(mode="after")
    def _knows_its_battery(self) -> PlanRequest:
        if self.battery_mv is None and self.power is None:
            raise ValueError("battery_mv is required where there is no power")
        return self

    @property
    def voltage_mv(self) -> int | None:
        """The battery's voltage from whichever field has it."""
        if self.power is not None and self.power.voltage_mv is not None:
            return self.power.voltage_mv
        return self.battery_mv

    @property
    def ball_is_certain(self) -> bool:
        """Seen, surely and just now. A confidence or an age that wasn't sent vetoes nothing."""
        sure = "ball_confidence" not in self.model_fields_set or self.ball_confidence >= 0.80
        fresh = self.vision_age_ms < 0 or self.vision_age_ms <= 500
        return self.ball_detected and sure and fresh

    @property
    def ball_bearing(self) -> float:
        """Where the ball is, in -180..180 degrees, whichever way round the robot counts."""
        bearing = self.ball_bearing_deg
        if abs(bearing) <= MAX_BEARING_DEG:
            return bearing
        return bearing - 360 if bearing > 0 else bearing + 360


def _speakable(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing to say")
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n" for char in text):
        raise ValueError("it has control characters or halves of characters")
    return text


def _bounded_params(params: dict[str, Any]) -> dict[str, Any]:
    # A surrogate, NaN or infinity can't be written as JSON; neither could the whole answer.
    try:
        written = json.dumps(params, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if len(written) > _MOST_PARAMS_CHARS:
        raise ValueError(f"more than {_MOST_PARAMS_CHARS} characters")
    return params


class Say(BaseModel):
    """Words to be spoken."""

    action: Literal["say"]
    text: Annotated[str, AfterValidator(_speakable)] = Field(min_length=1, max_length=MAX_SAY_CHARS)


class Emote(BaseModel):
    """A face, held until the next one."""

    model_config = ConfigDict(allow_inf_nan=False)

    action: Literal["emote"]
    name: Emotion
    intensity: float = Field(default=0.5, ge=0.0, le=1.0)


class GestureAction(BaseModel):
    """A movement of face or body; `look_at` takes `bearing` in degrees."""

    action: Literal["gesture"]
    name: Gesture
    params: Annotated[dict[str, Any], AfterValidator(_bounded_params)] = {}

    @model_validator(mode="after")
    def _knows_where_to_look(self) -> GestureAction:
        if self.name == "look_at":
            bearing = self.params.get("bearing")
            if not isinstance(bearing, int | float) or isinstance(bearing, bool):
                raise ValueError("look_at needs params.bearing in degrees")
            if abs(bearing) > MAX_BEARING_DEG:
                raise ValueError(f"look_at: bearing is not in +-{MAX_BEARING_DEG} degrees")
        return self


class SkillAction(BaseModel):
    """A behaviour of the base."""

    action: Literal["skill"]
    name: Skill


Action = Annotated[Say | Emote | GestureAction | SkillAction, Field(discriminator="action")]


class PlanOutput(BaseModel):
    """What the model writes."""

    actions: list[Action]
    ttl_ms: int = Field(default=DEFAULT_TTL_MS, ge=MIN_TTL_MS, le=MAX_TTL_MS)


class PlanResponse(BaseModel):
    """What the supervisor gets."""

    plan_id: str
    robot_id: str
    seq: int
    monotonic_ts_ms: int
    server_monotonic_ts_ms: int
    actions: list[Action]
    ttl_ms: int = Field(ge=MIN_TTL_MS, le=MAX_TTL_MS)


def output_schema(
    *,
    max_actions: int = 5,
    skills: Sequence[str] = OFFERED_SKILLS,
    gestures: Sequence[str] = GESTURES,
) -> dict[str, Any]:
    """The JSON Schema of `PlanOutput` for constrained decoding, small and without references.

    `text` stands last in its action, so that whatever moves is known before words are.
    """

    def action(kind: str, **fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"action": {"const": kind}, **fields},
            "required": ["action", *fields],
            "additionalProperties": False,
        }

    bearing = {
        "type": "object",
        "properties": {
            "bearing": {"type": "number", "minimum": -MAX_BEARING_DEG, "maximum": MAX_BEARING_DEG}
        },
        "required": ["bearing"],
        "additionalProperties": False,
    }
    intensity = {"type": "number", "minimum": 0, "maximum": 1}
    choices = [action("emote", name={"enum": list(EMOTIONS)}, intensity=intensity)]
    if "look_at" in gestures:
        choices.append(action("gesture", name={"const": "look_at"}, params=bearing))
    if plain := [name for name in gestures if name != "look_at"]:
        choices.append(action("gesture", name={"enum": plain}))
    if skills:
        choices.append(action("skill", name={"enum": list(skills)}))
    choices.append(action("say", text={"type": "string", "maxLength": MAX_SAY_CHARS}))
    return {
        "type": "object",
        "properties": {
            "actions": {"type": "array", "maxItems": max_actions, "items": {"anyOf": choices}},
            "ttl_ms": {"type": "integer", "minimum": MIN_TTL_MS, "maximum": MAX_TTL_MS},
        },
        "required": ["actions", "ttl_ms"],
        "additionalProperties": False,
    }
