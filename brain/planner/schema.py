"""What `/plan` takes and gives, as pydantic models, and the JSON Schema that holds a model to it.

Field names, bounds and symbols are the supervisor's contract. Values out of range are rejected,
never clamped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


class Power(BaseModel):
    """The battery as newer robots report it. Voltages in mV, charge in percent."""

    source: str = ""
    voltage_mv: int | None = None
    soc_pct: float | None = None
    charging: bool = False
    ac_present: bool = False
    pmic_undervoltage: bool = False


class PlanRequest(BaseModel):
    """A snapshot of the robot's world. Distances in mm, speeds in mm/s, angles in degrees.

    `clear_confidence` -1 is unknown, `vision_age_ms` -1 is unknown. Unknown fields are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    robot_id: str = Field(min_length=1, max_length=64)
    seq: int = Field(ge=0)
    monotonic_ts_ms: int = Field(ge=0)
    mode: str
    battery_mv: int | None = None
    range_mm: int
    faults: list[str] = []
    clear_confidence: float = Field(default=-1.0, ge=-1.0, le=1.0)
    ball_detected: bool = False
    ball_confidence: float = 0.0
    ball_bearing_deg: float = 0.0
    vision_age_ms: int = -1
    speed_l_mm_s: float = 0.0
    speed_r_mm_s: float = 0.0
    v_capped: float = 0.0
    w_capped: float = 0.0
    trigger: str = "heartbeat"
    recent_events: list[str] = []
    planner_active_skill: str = "patrol_drift"
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


class Say(BaseModel):
    """Words to be spoken."""

    action: Literal["say"]
    text: str = Field(min_length=1, max_length=MAX_SAY_CHARS)


class Emote(BaseModel):
    """A face, held until the next one."""

    action: Literal["emote"]
    name: Emotion
    intensity: float = Field(default=0.5, ge=0.0, le=1.0)


class GestureAction(BaseModel):
    """A movement of face or body; `look_at` takes `bearing` in degrees."""

    action: Literal["gesture"]
    name: Gesture
    params: dict[str, Any] = {}


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
    *, max_actions: int = 5, skills: Sequence[str] = OFFERED_SKILLS
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
        "properties": {"bearing": {"type": "number", "minimum": -180, "maximum": 180}},
        "required": ["bearing"],
        "additionalProperties": False,
    }
    plain = [name for name in GESTURES if name != "look_at"]
    intensity = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "type": "object",
        "properties": {
            "actions": {
                "type": "array",
                "maxItems": max_actions,
                "items": {
                    "anyOf": [
                        action("emote", name={"enum": list(EMOTIONS)}, intensity=intensity),
                        action("gesture", name={"const": "look_at"}, params=bearing),
                        action("gesture", name={"enum": plain}),
                        action("skill", name={"enum": list(skills)}),
                        action("say", text={"type": "string", "maxLength": MAX_SAY_CHARS}),
                    ]
                },
            },
            "ttl_ms": {"type": "integer", "minimum": MIN_TTL_MS, "maximum": MAX_TTL_MS},
        },
        "required": ["actions", "ttl_ms"],
        "additionalProperties": False,
    }
