"""What a robot gets to know and its user to hear of a session, moment by moment."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from tests.dialogue.house import RATE, Robot, a_session, silence, speech
from tests.scripted_engines import ScriptedMind, ScriptedMouth, ScriptedTranscriber

FRAME_MS = 32
REPLY = "Hello there, nice to meet you."

Act = Callable[[Robot], None]


@dataclass(frozen=True)
class Case:
    """`user`: what the microphone gets, in ms: "800 -320 640" is speech, silence, speech, and
    silence after that. `acts`: what else happens, and when. `heard`: a line for each moment."""

    user: str
    heard: str
    acts: tuple[tuple[int, Act], ...] = ()
    tentative_ms: int = 128
    session: dict[str, Any] = field(default_factory=dict)
    house: dict[str, Any] = field(default_factory=dict)
    stt_s: float = 0.15
    llm_s: float = 0.2
    texts: tuple[str | Exception, ...] = ("hello robot",)
    replies: tuple[Any, ...] = (REPLY,)
    silence_sent: bool = True


def post(event: events.Event) -> Act:
    return lambda robot: robot.session.post(event)


async def observed(case: Case) -> list[str]:
    house = replace(HouseRules(tentative_ms=case.tentative_ms), **case.house)
    ears = ScriptedTranscriber(case.texts, case.stt_s)
    mind = ScriptedMind(case.replies, first_seconds=case.llm_s)
    async with a_session(ears=ears, mind=mind, mouth=ScriptedMouth(), house=house) as robot:
        if case.session:
            robot.session.configure(case.session)
        loop = asyncio.get_running_loop()
        for ms, act in case.acts:
            loop.call_at(ms / 1000, act, robot)
        sound = [
            speech(ms) if (ms := int(part)) > 0 else silence(-ms) for part in case.user.split()
        ]
        if case.silence_sent:
            sound.append(silence(6_000))
        await _arrives(robot, np.concatenate(sound))
        await asyncio.sleep(6)
    return _timeline(robot)


async def _arrives(robot: Robot, sound: NDArray[np.int16]) -> None:
    """Each frame when its last sample has been spoken."""
    size = FRAME_MS * RATE // 1000
    for start in range(0, len(sound), size):
        await asyncio.sleep(FRAME_MS / 1000)
        robot.session.hear(sound[start : start + size])


def _timeline(robot: Robot) -> list[str]:
    lines: list[tuple[float, str]] = []
    played = 0.0
    sounding = False
    for time, output in robot.said:
        match output:
            case outputs.SpeechStarted(turn):
                lines.append((time, f"turn {turn} begins"))
            case outputs.SpeechStopped(turn):
                lines.append((time, f"turn {turn} is over"))
            case outputs.UserSaid(text, turn):
                lines.append((time, f"turn {turn} was: {text}"))
            case outputs.ReplyStarted(turn, reply_id):
                lines.append((time, f"reply {reply_id}"))
            case outputs.ClauseStarted(text):
                lines.append((max(time, played), f"aloud: {text}"))
            case outputs.ReplyAudio(audio):
                played, sounding = max(time, played) + audio.seconds, True
            case outputs.ToolCalled(name):
                lines.append((time, f"tool: {name}"))
            case outputs.ReplyDone(reply_id, reason):
                if sounding:
                    lines.append((min(time, played), "silence"))
                lines = [line for line in lines if line[0] <= time]
                lines.append((time, f"reply {reply_id} {reason}"))
                played, sounding = 0.0, False
            case outputs.Problem(code):
                lines.append((time, f"problem: {code}"))
    lines.sort(key=lambda line: line[0])
    return [
        f"{ms} {'; '.join(text for _, text in same)}"
        for ms, same in itertools.groupby(lines, lambda line: round(line[0] * 1000))
    ]
