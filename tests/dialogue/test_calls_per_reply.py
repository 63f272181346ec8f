"""A voice to which a call is dear says a reply in few: the first clause, and the rest at once."""

from __future__ import annotations

import asyncio

import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules, SessionConfig
from brain.engines.ports import Emotion, EngineFailed
from tests.dialogue.house import Robot, a_session
from tests.scripted_engines import ScriptedMind, ScriptedMouth
from tests.virtual_time import run_virtual

CLAUSES = ("Well now,", "this is one.", "Here is *another* one!", "Was that all?", "It was.")
REPLY = " ".join(CLAUSES)
SPOKEN = REPLY.replace("*", "")
PACE_S = 0.06
"""A character, of the scripted mouth."""


async def answered(robot: Robot) -> None:
    robot.session.post(events.Typed("hello"))
    await robot.until(outputs.ReplyDone)


@pytest.mark.parametrize(
    ("most", "calls"),
    [
        (None, ["Well now, this is one.", "Here is another one!", "Was that all?", "It was."]),
        (1, [SPOKEN]),
        (2, ["Well now, this is one.", "Here is another one! Was that all? It was."]),
        (3, ["Well now, this is one.", "Here is another one!", "Was that all? It was."]),
    ],
)
def test_a_reply_is_said_in_no_more_calls_than_the_voice_allows(
    most: int | None, calls: list[str]
) -> None:
    async def main() -> None:
        mouth = ScriptedMouth(calls_per_reply=most, seconds_per_char=PACE_S)
        async with a_session(mind=ScriptedMind([REPLY]), mouth=mouth) as robot:
            await answered(robot)
            assert [text for text, _, _ in mouth.said] == calls
            # The robot is told the same words, whole, each when its sound begins.
            told = [output.text for output in robot.all(outputs.ClauseStarted)]
            assert len(told) == len(calls)
            assert " ".join(told) == REPLY
            assert [o.text for o in robot.all(outputs.AssistantSaid)] == [REPLY]
            seconds = sum(output.audio.seconds for output in robot.all(outputs.ReplyAudio))
            assert seconds == pytest.approx(sum(map(len, calls)) * PACE_S, abs=0.02)

    run_virtual(main())


def test_the_first_clause_is_said_while_the_rest_is_thought() -> None:
    async def main() -> None:
        mouth = ScriptedMouth(calls_per_reply=2)
        # 0.5 s a word: the rest takes the mind longer than the first clause takes the mouth.
        mind = ScriptedMind([REPLY], token_seconds=0.5)
        async with a_session(mind=mind, mouth=mouth) as robot:
            await answered(robot)
            thought_s = 0.2 + 0.5 * (len(REPLY.split()) - 1)
            began, rest = (robot.time_of(outputs.ClauseStarted, index) for index in (0, 1))
            assert began < thought_s / 2
            assert rest == pytest.approx(thought_s + 0.1, abs=0.05), "then at once"

    run_virtual(main())


def test_a_reply_of_many_clauses_is_not_held_up_by_the_queue_before_the_voice() -> None:
    async def main() -> None:
        reply = " ".join(f"This is sentence number {index}." for index in range(40))
        mouth = ScriptedMouth(calls_per_reply=2, delay=1.0)
        async with a_session(mind=ScriptedMind([reply]), mouth=mouth) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone, seconds=200)
            assert [text for text, _, _ in mouth.said] == [reply[:26], reply[27:]]

    run_virtual(main())


def test_what_is_said_word_for_word_is_said_so_too() -> None:
    async def main() -> None:
        mouth = ScriptedMouth(calls_per_reply=2)
        async with a_session(mouth=mouth) as robot:
            robot.session.post(events.Say(REPLY))
            await robot.until(outputs.ReplyDone)
            assert len(mouth.said) == 2

    run_virtual(main())


def test_a_voice_that_takes_its_place_says_the_rest_as_it_says_everything() -> None:
    class Falls(ScriptedMouth):
        async def stream(self, text, **given):  # type: ignore[no-untyped-def, override]
            async for audio in super().stream(text, **given):
                yield audio
            self.calls_per_reply = None  # as a ladder's info, once a lower rung serves

    async def main() -> None:
        mouth = Falls(calls_per_reply=2)
        async with a_session(mind=ScriptedMind([REPLY]), mouth=mouth) as robot:
            await answered(robot)
            assert len(mouth.said) == 4

    run_virtual(main())


def test_a_mood_is_told_to_the_voice_once() -> None:
    """Orpheus makes a sound of it, and would laugh in the midst of what it says."""

    async def main() -> None:
        house = HouseRules(defaults=SessionConfig(instructions="You are Robo."), emotions=True)
        for most, moods in (
            (2, [Emotion("happy", 0.8), None]),
            (None, [Emotion("happy", 0.8)] * 4),
        ):
            mouth = ScriptedMouth(calls_per_reply=most)
            mind = ScriptedMind([f"[happy 0.8] {REPLY}"])
            async with a_session(house=house, mind=mind, mouth=mouth) as robot:
                await answered(robot)
                assert [emotion for _, _, emotion in mouth.said] == moods
        # Where there is but one call, it is told in that.
        mouth = ScriptedMouth(calls_per_reply=1)
        mind = ScriptedMind([f"[happy 0.8] {REPLY}"])
        async with a_session(house=house, mind=mind, mouth=mouth) as robot:
            await answered(robot)
            assert [emotion for _, _, emotion in mouth.said] == [Emotion("happy", 0.8)]

    run_virtual(main())


@pytest.mark.parametrize("after_s", [0.5, 2.0, 4.0, 6.0])
def test_of_an_interrupted_rest_the_words_are_kept_that_were_heard(after_s: float) -> None:
    async def main() -> None:
        words = [f"word{index}" for index in range(100, 200)]
        reply = f"Very well then. {' '.join(words)}."
        mouth = ScriptedMouth(calls_per_reply=2, seconds_per_char=PACE_S)
        async with a_session(mind=ScriptedMind([reply], token_seconds=0), mouth=mouth) as robot:
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ClauseStarted)
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(after_s)
            robot.session.post(events.Cancel())
            await robot.until(outputs.ReplyDone)
            played = (asyncio.get_running_loop().time() - began) / PACE_S
            heard = robot.all(outputs.AssistantSaid)
            text = heard[0].text if heard else ""
            # To within a word and a half; the mouth's blocks are 100 ms, so 1.7 letters.
            assert abs(len(text) - played) < 12
            assert reply.startswith(text)

    run_virtual(main())


def test_a_voice_that_breaks_in_the_rest_has_said_what_was_heard() -> None:
    async def main() -> None:
        mouth = ScriptedMouth(delay=3, calls_per_reply=2, failures=[None, EngineFailed("broken")])
        async with a_session(mind=ScriptedMind([REPLY]), mouth=mouth) as robot:
            await answered(robot)
            assert [o.reason for o in robot.all(outputs.ReplyDone)] == ["failed"]
            assert [o.text for o in robot.all(outputs.AssistantSaid)] == ["Well now, this is one."]

    run_virtual(main())
