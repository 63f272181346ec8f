"""Which tools a training session offers, in which form, and what they give back."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from brain.engines.ports import ToolSpec
from tools.pocket.mind import slots
from tools.pocket.mind.intents import Args
from tools.pocket.mind.replies import NUMBER_WORDS, TENS

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]


def _load(path: Path) -> dict[str, ToolSpec]:
    return {entry["name"]: ToolSpec(**entry) for entry in json.loads(path.read_text("utf-8"))}


REACHY = _load(_ROOT / "brain" / "persona" / "reachy_mini_tools.json")
EXTRA = _load(_HERE / "extra_tools.json")
ALL = {**REACHY, **EXTRA}
MAX_OFFERED = 14

# The recorded names of the emotions, and the plain words that some robots offer instead.
EMOTION_WORDS = {
    "cheerful1": "happy", "sad1": "sad", "rage1": "angry", "surprised1": "surprised",
    "scared1": "scared", "curious1": "curious", "confused1": "confused", "loving1": "loving",
    "sleep1": "sleepy", "laughing1": "laughing", "yes1": "yes", "no1": "no",
}  # fmt: skip
_STRANGE_VERBS = (
    "wave",
    "set",
    "open",
    "play",
    "move",
    "start",
    "get",
    "show",
    "read",
    "send",
    "turn",
)
_STRANGE_NOUNS = (
    "arm", "led", "door", "sound", "gripper", "map", "light", "display", "wheel", "alarm", "music",
    "photo", "lamp", "timer", "note",
)  # fmt: skip
_ERRORS = (
    "the camera isn't available", "camera worker not available", "No frame available", "timed out",
    "not available", "motor error", "failed", "no connection", "the robot is busy", "unknown error",
    "Dance system not available", "Emotion system not available", "not supported", "sensor failure",
)  # fmt: skip


def session_tools(rng: random.Random, wanted: str = "") -> list[ToolSpec]:
    """The tools of one session: none to fourteen. `wanted` is more often in than not."""
    dice = rng.random()
    if dice < 0.16:
        return []
    if dice < 0.46:
        names = list(REACHY)
    else:
        names = rng.sample(list(ALL), rng.randint(1, MAX_OFFERED))
        if wanted and wanted not in names and rng.random() < 0.5:
            names[rng.randrange(len(names))] = wanted
    if rng.random() < 0.3:
        rng.shuffle(names)
    tools = [_varied(ALL[name], rng) for name in names]
    while len(tools) < MAX_OFFERED and rng.random() < 0.12:
        tools.insert(rng.randint(0, len(tools)), _strange(rng))
    return tools


def _varied(tool: ToolSpec, rng: random.Random) -> ToolSpec:
    if tool.name == "play_emotion" and rng.random() < 0.3:
        plain: dict[str, Any] = {"type": "string"}
        if rng.random() < 0.6:
            words = list(EMOTION_WORDS.values())
            rng.shuffle(words)
            if rng.random() < 0.4:
                words = ["random", "happy", "excited", "loving", "grateful", *words]
            plain = {"type": "string", "enum": list(dict.fromkeys(words))}
        return ToolSpec(tool.name, "", _object({"emotion": plain}))
    if tool.name == "dance" and rng.random() < 0.3:
        fields = rng.choice(
            [
                {},
                {"move": {"type": "string"}},
                {"repeat": {"type": "integer"}},
                {"move": {"type": "string"}, "repeat": {"type": "integer"}},
            ]
        )
        return ToolSpec(tool.name, "", _object(fields))
    return tool


def _strange(rng: random.Random) -> ToolSpec:
    fields = {
        rng.choice(["value", "text", "angle", "id", "mode", "speed"]): {"type": "string"}
        for _ in range(rng.randint(0, 2))
    }
    name = f"{rng.choice(_STRANGE_VERBS)}_{rng.choice(_STRANGE_NOUNS)}"
    return ToolSpec(name, "", _object(fields))


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": []}


def fitted(args: Args, tool: ToolSpec) -> Args:
    """`args` as this form of the tool takes them: no unknown parameter, its own words."""
    known = tool.parameters.get("properties", {})
    args = {name: value for name, value in args.items() if name in known}
    if tool.name == "play_emotion" and "enum" in known["emotion"]:
        names = known["emotion"]["enum"]
        word = EMOTION_WORDS.get(str(args["emotion"]), "")
        if args["emotion"] not in names and word in names:
            args["emotion"] = word
    return args


def result(tool: str, args: Args, rng: random.Random) -> tuple[str, str, str]:
    """A tool's answer as text, the reply kind if it overrides the usual one, and its slot value."""
    if rng.random() < (0.35 if tool == "camera" else 0.15):
        kind = "camera_failed" if tool == "camera" else "tool_failed"
        error = rng.choice(_ERRORS[:3] if tool == "camera" and rng.random() < 0.6 else _ERRORS)
        return (error if rng.random() < 0.2 else json.dumps({"error": error})), kind, ""
    if tool == "camera":
        if rng.random() < 0.6:
            seen = slots.thing(rng)
            return json.dumps({"image_description": seen}), "did_camera_description", seen
        good = rng.choice([{"status": "image sent"}, {"image": "attached"}, {"status": "ok"}, {}])
        return json.dumps(good), "did_camera", ""
    if tool == "get_battery":
        tens = rng.random() < 0.6
        percent = 10 * rng.randint(1, 10) if tens else rng.randint(1, 99)
        key = rng.choice(["percent", "percent", "percent", "battery", "level"])
        said = TENS[percent // 10 - 1] if percent % 10 == 0 else str(percent)
        return json.dumps({key: percent}), "did_battery", said
    if tool == "get_time":
        now = slots.time(rng)
        return json.dumps({"time": now}), "did_time", now
    if tool == "find_ball":
        found = rng.random() < 0.5
        more = {"bearing": rng.randint(-90, 90)} if found and rng.random() < 0.3 else {}
        return json.dumps({"found": found, **more}), "", "found" if found else "lost"
    return json.dumps(_plain_result(tool, args, rng)), "", ""


def _plain_result(tool: str, args: Args, rng: random.Random) -> Any:
    if rng.random() < 0.3:
        return rng.choice(
            [
                {"status": "ok"},
                {"ok": True},
                {"status": "done"},
                {"result": "ok"},
                "ok",
                {},
                {"success": True},
            ]
        )
    usual: dict[str, Any] = {
        "move_head": {"status": f"looking {args.get('direction')}"},
        "head_tracking": {"status": "head tracking started" if args.get("start") else "stopped"},
        "dance": {"status": "queued", "move": rng.choice(_MOVES), "repeat": args.get("repeat", 1)},
        "stop_dance": {"status": "stopped dance and cleared queue"},
        "play_emotion": {"status": "queued", "emotion": args.get("emotion")},
        "stop_emotion": {"status": "stopped emotion and cleared queue"},
        "do_nothing": {"status": "doing nothing", "reason": args.get("reason", "")},
        "stop_moving": {"status": "stopped"},
    }
    return usual.get(tool, {"status": "ok"})


_MOVES: list[str] = REACHY["dance"].parameters["properties"]["move"]["enum"]


def number_word(text: str) -> str:
    return NUMBER_WORDS[int(text)] if text.isdigit() and int(text) <= 20 else text
