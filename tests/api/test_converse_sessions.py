"""Whatever a supervisor does and whatever fails, it is told in an order that it can rely on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from brain.api import converse_out
from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules, SessionConfig, TurnDetection
from brain.engines.ports import EngineBusy, EngineFailed
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import Pause, ScriptedMind, ScriptedMouth, ScriptedTranscriber
from tests.virtual_time import run_virtual

ACTIONS = ("speak", "whisper", "end", "text", "refused", "cancel", "wait", "think")
HOUSE = HouseRules(
    defaults=SessionConfig(instructions="You are Robo.", turn_detection=None), emotions=True
)


@dataclass
class Supervisor:
    """Holds what it is told to the contract."""

    telling: converse_out.Telling
    told: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, output: outputs.Output) -> None:
        if isinstance(output, outputs.SpeechStopped):
            self.told.append({"type": "(heard)", "turn_id": output.turn})
        self.told += [message.model_dump() for message in self.telling.messages(output)]

    def check(self, cancels: int) -> None:
        shown: set[int] = set()
        begun: set[int] = set()
        over: set[int] = set()
        idle = answered = 0
        before = "listening"
        for message in self.told:
            kind, turn = message["type"], message.get("turn_id")
            if kind == "listening":
                idle += before == "listening"
                over |= begun
            else:
                assert turn not in over, f"{kind} of a turn that is over"
                if kind == "emotion":
                    answered = turn
                assert kind != "transcription" or turn >= answered, "words within a later reply"
                begun |= {turn} - {None}
            if kind == "emotion":
                assert turn not in shown, "two moods in a turn"
                shown.add(turn)
            if kind in ("gestures", "assistant_text", "first_audio", "audio"):
                assert turn in shown, f"{kind} before the mood"
            if kind == "done":
                over.add(turn)
                answered = 0
            before = before if kind == "(heard)" else kind
        assert idle <= cancels, "listening although nothing was under way"
        assert before == "listening", "the supervisor waits for ever"


async def act(robot: Robot, action: str) -> None:
    session = robot.session
    match action:
        case "speak":
            await robot.speak(speech(400))
        case "whisper":
            await robot.speak(silence(400))
        case "end":
            session.post(events.EndUtterance())
        case "text":
            session.post(events.Typed("hello"))
        case "refused":
            session.report("bad_json", "text: too long", turn=True)
        case "cancel":
            session.post(events.Cancel())
            session.post(events.Clear())
        case "wait":
            await asyncio.sleep(3.0)
        case "think":
            await asyncio.sleep(0.25)


@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=14),
    vad=st.booleans(),
    ears=st.sampled_from([["hello"], ["", "hello"], [EngineFailed("broken"), "hello"]]),
    mind=st.sampled_from(
        [
            ["[happy] [nod] Hello there, my friend."],
            ["Hello.", EngineBusy("full")],
            [["[sad] ", Pause(2.0), "Well, ", EngineFailed("broken")], "[love]"],
        ]
    ),
    mouth=st.sampled_from([[None], [EngineFailed("broken"), None]]),
)
@example(["speak", "end", "cancel"], False, ["hello"], ["Hello."], [None])
@example(["speak", "end", "cancel"], False, [""], ["Hello."], [None])
@example(["speak", "end", "cancel"], False, [EngineFailed("broken")], ["Hello."], [None])
@example(["speak", "end", "end"], False, ["hello"], ["Hello."], [None])
@example(["speak", "end", "text"], False, ["hello"], ["Hello."], [None])
@example(["speak", "end", "speak", "end"], True, ["hello"], ["Hello."], [None])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_every_turn_has_its_end_and_a_mood_before_its_sound(
    actions: list[str], vad: bool, ears: list[Any], mind: list[Any], mouth: list[Any]
) -> None:
    async def main() -> None:
        detection = TurnDetection() if vad else None
        house = replace(HOUSE, defaults=replace(HOUSE.defaults, turn_detection=detection))
        async with a_session(
            ears=ScriptedTranscriber(ears),
            mind=ScriptedMind(mind),
            mouth=ScriptedMouth(failures=mouth),
            house=house,
        ) as robot:
            for action in actions:
                await act(robot, action)
            await asyncio.sleep(120)
            supervisor = Supervisor(converse_out.Telling(asyncio.get_running_loop().time))
            for _, output in robot.said:
                supervisor.hear(output)
            supervisor.check(actions.count("cancel"))

    run_virtual(main())
