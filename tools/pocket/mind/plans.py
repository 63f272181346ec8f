"""World states and sensible plans for them, by rule: what the pocket mind learns planning from."""

from __future__ import annotations

import json
import random
from typing import Any

from brain.engines.ports import Message
from brain.planner.prompt import plan_messages
from brain.planner.schema import PlanRequest

_NEAR = (
    "obstacle_close",
    "obstacle",
    "bump",
    "collision",
    "cliff",
    "stuck",
    "near_obstacle",
    "range_low",
)
_FAULT = ("fault", "error", "fault_raised", "tilt", "stall", "motor_fault")
_BUTTON = ("button_pressed", "button", "touch", "button_press", "greet", "tap")
_SPEECH = ("speech_heard", "voice", "sound_heard", "noise", "wake_word")
_LIFT = ("picked_up", "lifted", "pickup")
_QUIET = ("heartbeat", "heartbeat", "heartbeat", "timer", "periodic", "tick")
_OTHER = (
    "ball_lost", "idle", "boot", "low_battery", "face_seen", "mode_change", "charging", "put_down",
    "skill_done", "ball_seen", "battery_low", "startup",
)  # fmt: skip
_FAULT_NAMES = (
    "motor_left", "motor_right", "imu", "TILT", "STALL", "vision", "range_sensor", "estop",
    "encoder", "overheat", "CMD_TIMEOUT", "brownout", "low_voltage", "cliff", "usb",
)  # fmt: skip
_EVENTS = (
    "ball_seen", "ball_lost", "button_pressed", "obstacle_close", "said hello", "said a joke",
    "emote happy", "emote curious", "skill patrol_drift", "turned", "picked_up", "boot",
    "skill investigate_ball", "heartbeat", "said something",
)  # fmt: skip
_MODES = (
    "WANDER",
    "IDLE",
    "PLAY",
    "SAFE",
    "BOOT",
    "TELEOP",
    "wander",
    "idle",
    "EXPLORE",
    "DOCKED",
    "ERROR",
)
_SKILLS = ("patrol_drift", "patrol_drift", "patrol_drift", "investigate_ball", "avoid_obstacle",
           "greet_on_button", "scan_for_target")  # fmt: skip

Plan = dict[str, Any]


def world(rng: random.Random) -> PlanRequest:
    """A world state as a supervisor may send it; at times several things at once."""
    group = rng.choice(
        (
            _NEAR,
            _FAULT,
            _BUTTON,
            _SPEECH,
            _LIFT,
            _QUIET,
            _QUIET,
            _OTHER,
            ("ball_seen",),
            ("ball_seen",),
            _OTHER,
        )
    )
    trigger = rng.choice(group)
    ball = trigger == "ball_seen" if rng.random() < 0.8 else rng.random() < 0.5
    fields: dict[str, Any] = {
        "robot_id": "robot-1",
        "seq": rng.randint(0, 9999),
        "monotonic_ts_ms": rng.randint(0, 10**9),
        "mode": rng.choice(_MODES),
        "battery_mv": rng.randint(6200, 6799)
        if trigger in ("low_battery", "battery_low") or rng.random() < 0.12
        else rng.randint(6800, 8400),
        "range_mm": rng.randint(40, 499)
        if (group is _NEAR and rng.random() < 0.85) or rng.random() < 0.1
        else rng.choice([rng.randint(500, 3000), rng.randint(500, 3000), 0, -1]),
        "trigger": trigger,
        "ball_detected": ball,
        "planner_active_skill": rng.choice(_SKILLS),
    }
    if ball:
        fields["ball_bearing_deg"] = round(rng.uniform(-90, 90), rng.choice([0, 1]))
        if rng.random() < 0.5:
            fields["ball_confidence"] = round(rng.uniform(0.5, 1.0) ** 0.4, 2)
            fields["vision_age_ms"] = rng.randint(0, 700)
    if group is _FAULT or rng.random() < 0.07:
        fields["faults"] = rng.sample(_FAULT_NAMES, rng.choice([1, 1, 1, 2]))
    if rng.random() < 0.6:
        low = rng.random() < 0.15
        fields["clear_confidence"] = round(rng.uniform(0, 0.29) if low else rng.uniform(0.3, 1), 2)
    if rng.random() < 0.5:
        fields["speed_l_mm_s"], fields["speed_r_mm_s"] = rng.randint(0, 200), rng.randint(0, 200)
    fields["face_talking"] = rng.random() < 0.1
    fields["face_listening"] = rng.random() < 0.1
    if rng.random() < 0.4:
        fields["recent_events"] = rng.sample(_EVENTS, rng.randint(1, 4))
    return PlanRequest(**fields)


def plan(request: PlanRequest) -> Plan:
    """A sensible plan for `request`: safety first, then what happened."""
    trigger, near = request.trigger, 0 < request.range_mm < 500
    low = request.voltage_mv is not None and request.voltage_mv < 6800
    unclear = 0 <= request.clear_confidence < 0.30
    silent = request.face_talking or any(
        event.startswith("said") for event in request.recent_events[-4:]
    )
    actions: list[Plan] = []

    def say(text: str) -> None:
        if not silent:
            actions.append({"action": "say", "text": text})

    if request.faults or trigger in _FAULT:
        actions.append(_emote("scared", 0.6))
        if near:
            actions.append(_gesture("back_up"))
        say("Something is wrong with me. Please ask a grown-up.")
        return _plan(actions)
    if near or trigger in _NEAR:
        actions += [_emote("surprised", 0.7), _gesture("back_up"), _skill("avoid_obstacle")]
        if trigger in _NEAR:
            say("Oops! Something is in my way.")
        elif trigger in _BUTTON:
            say("Hello! Nice to see you.")
        return _plan(actions)
    if low:
        actions.append(_emote("sleepy", 0.8))
        if request.ball_is_certain and trigger == "ball_seen":
            actions.append(_look_at(request))
        if trigger in ("low_battery", "battery_low"):
            say("I am getting tired. Please charge me.")
        elif trigger in _BUTTON:
            say("Hello! I am a little tired.")
        return _plan(actions)
    if trigger in _BUTTON:
        actions += [_emote("happy", 0.9), _gesture("wink_l")]
        if not unclear:
            actions.append(_skill("greet_on_button"))
        say("Hello! Nice to see you.")
        return _plan(actions)
    if request.ball_is_certain:
        if unclear:
            return _plan([_emote("curious", 0.5), _look_at(request)])
        actions += [_emote("excited", 0.9), _look_at(request), _skill("investigate_ball")]
        if trigger == "ball_seen":
            say("Oh! A ball!")
        return _plan(actions)
    if unclear:
        return _plan([_emote("thinking", 0.5)])
    return _plain(request, trigger, actions, silent=silent)


def _plain(request: PlanRequest, trigger: str, actions: list[Plan], *, silent: bool) -> Plan:
    words = ""
    if trigger in _LIFT:
        actions += [_emote("surprised", 0.8), _gesture("wiggle")]
        words = "Whee! I am flying!"
    elif trigger in _SPEECH:
        actions += [_emote("curious", 0.6), _gesture("nod")]
    elif trigger in ("boot", "startup"):
        actions.append(_emote("happy", 0.7))
        words = "Hello! I am ready."
    elif trigger == "face_seen":
        actions += [_emote("happy", 0.7), _gesture("wiggle")]
        words = "Hello there!"
    elif trigger in ("ball_lost", "ball_seen"):
        actions += [_emote("curious", 0.5), _skill("patrol_drift")]
    elif trigger in ("low_battery", "battery_low"):
        actions.append(_emote("sleepy", 0.8))
    elif trigger == "idle":
        actions += [_emote("curious", 0.4), _gesture("blink"), _skill("patrol_drift")]
    elif trigger in _QUIET:
        if request.planner_active_skill == "patrol_drift":
            return {"actions": [], "ttl_ms": 500}
        actions.append(_skill("patrol_drift"))
    else:
        actions += [_emote("curious", 0.5), _gesture("blink")]
    if words and not silent:
        actions.append({"action": "say", "text": words})
    return _plan(actions)


def _plan(actions: list[Plan]) -> Plan:
    return {"actions": actions, "ttl_ms": 2000}


def _emote(name: str, intensity: float) -> Plan:
    return {"action": "emote", "name": name, "intensity": intensity}


def _gesture(name: str) -> Plan:
    return {"action": "gesture", "name": name}


def _skill(name: str) -> Plan:
    return {"action": "skill", "name": name}


def _look_at(request: PlanRequest) -> Plan:
    bearing = round(request.ball_bearing_deg)
    return {"action": "gesture", "name": "look_at", "params": {"bearing": bearing}}


def planning(rng: random.Random) -> list[Message]:
    """A whole plan conversation with its right answer."""
    request = world(rng)
    return [*plan_messages(request), Message("assistant", json.dumps(plan(request)))]
