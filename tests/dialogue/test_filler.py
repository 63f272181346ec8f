"""A word while the robot thinks: what is heard when, on scripted engines in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.filler import FillerRules, Fillers, unhurried
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import EngineBusy, EngineFailed, ToolCall
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import Hang, Pause, ScriptedMind, ScriptedMouth, ScriptedTranscriber
from tests.virtual_time import run_virtual

WORD = "One moment."
WORD_MS = 660
ANSWER = "It is five."
HOUSE = HouseRules(filler=FillerRules(1.0, (WORD,)))


def heard(robot: Robot) -> list[tuple[str, int, int]]:
    """What came out of the loudspeaker: a word or the answer, from, to, in ms by the clock."""
    spans: list[tuple[str, float, float]] = []
    what, until = "", 0.0
    for time, output in robot.said:
        if isinstance(output, outputs.FillerStarted):
            what = "word"
        elif isinstance(output, outputs.ClauseStarted):
            what = "answer"
        elif isinstance(output, outputs.ReplyAudio):
            start = max(time, until)
            until = start + output.audio.seconds
            if spans and spans[-1][0] == what and start - spans[-1][2] < 0.001:
                spans[-1] = (what, spans[-1][1], until)
            else:
                spans.append((what, start, until))
    return [(what, round(start * 1000), round(end * 1000)) for what, start, end in spans]


@pytest.mark.parametrize(
    ("first_token_s", "spans"),
    [
        # Thinking takes so long, then two tokens of 25 ms more, and 100 ms of speaking.
        (0.2, [("answer", 350, 1010)]),
        (0.8, [("answer", 950, 1610)]),
        # The answer is there just after the word: it waits for the word's end, and no longer.
        (0.9, [("word", 1000, 1660), ("answer", 1660, 2320)]),
        (1.2, [("word", 1000, 1660), ("answer", 1660, 2320)]),
        # It comes later: at once.
        (1.6, [("word", 1000, 1660), ("answer", 1750, 2410)]),
        (7.0, [("word", 1000, 1660), ("answer", 7150, 7810)]),
    ],
)
def test_what_is_heard_when(first_token_s: float, spans: list[tuple[str, int, int]]) -> None:
    async def main() -> None:
        mind = ScriptedMind([ANSWER], first_seconds=first_token_s)
        async with a_session(mind=mind, house=HOUSE) as robot:
            await asyncio.sleep(1.0)
            asked = asyncio.get_running_loop().time()
            robot.session.post(events.Typed("time?"))
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "completed"
            shifted = [(what, a - round(asked * 1000), b - round(asked * 1000))
                       for what, a, b in heard(robot)]  # fmt: skip
            assert shifted == spans
            # The word isn't what is measured.
            assert done.timings.tts_first_audio == pytest.approx(100, abs=1)

    run_virtual(main())


@pytest.mark.parametrize("lead_ms", [150, 300, 600, 2_000])
@pytest.mark.parametrize("first_token_s", [1.0, 1.3, 1.7])
def test_sound_is_sent_in_order_and_no_further_ahead_than_ever(
    lead_ms: int, first_token_s: float
) -> None:
    async def main() -> None:
        mind = ScriptedMind([ANSWER], first_seconds=first_token_s)
        house = replace(HOUSE, lead_ms=lead_ms)
        async with a_session(mind=mind, house=house) as robot:
            await asyncio.sleep(1.0)
            robot.session.post(events.Typed("time?"))
            await robot.until(outputs.ReplyDone)
            assert [what for what, _, _ in heard(robot)] == ["word", "answer"]
            until = 0.0
            for time, output in robot.said:
                if isinstance(output, outputs.ReplyAudio):
                    until = max(until, time) + output.audio.seconds
                    assert until - time <= lead_ms / 1000 + 0.001

    run_virtual(main())


def test_it_is_no_part_of_the_answer() -> None:
    async def main() -> None:
        memory, mind = RobotMemory(History()), ScriptedMind([ANSWER], first_seconds=2.0)
        async with a_session(mind=mind, house=HOUSE, memory=memory) as robot:
            await asyncio.sleep(1.0)
            for turn in (1, 2):
                robot.session.post(events.Typed("time?"))
                await robot.until(outputs.ReplyDone, reply_id=turn)
            assert [said.text for said in robot.all(outputs.AssistantSaid)] == [ANSWER, ANSWER]
            told = [output.text for output in robot.all(outputs.FillerStarted)]
            assert told == [WORD, WORD]
            assert {output.reply_id for output in robot.all(outputs.FillerStarted)} == {1, 2}
            first, second = (messages for messages, _ in mind.asked)
            assert second[: len(first)] == first, "the prompt's prefix stays the same"
            assert [m.content for m in memory.history.messages()] == ["time?", ANSWER] * 2

    run_virtual(main())


def test_a_spoken_turn_counts_from_its_end_and_ears_that_are_slow_count() -> None:
    async def main(ears_s: float, tentative_ms: int) -> float:
        mind = ScriptedMind([ANSWER], first_seconds=5.0)
        ears = ScriptedTranscriber(["time?"], ears_s)
        house = replace(HOUSE, tentative_ms=tentative_ms)
        async with a_session(ears=ears, mind=mind, house=house) as robot:
            await robot.speak(np.concatenate((speech(800), silence(4_000))), chunk_ms=32)
            await robot.until(outputs.ReplyDone)
            assert len(robot.all(outputs.FillerStarted)) == 1
            return robot.time_of(outputs.FillerStarted) - robot.time_of(outputs.SpeechStopped)

    assert run_virtual(main(0.2, 0)) == pytest.approx(1.0, abs=0.001)
    assert run_virtual(main(0.8, 0)) == pytest.approx(1.0, abs=0.001)
    assert run_virtual(main(2.0, 0)) == pytest.approx(2.05, abs=0.001)
    assert run_virtual(main(0.2, 128)) == pytest.approx(1.0, abs=0.001)


def test_nothing_is_said_to_a_guess_that_is_not_released() -> None:
    async def main() -> None:
        house = replace(HOUSE, tentative_ms=128, filler=FillerRules(0.0, (WORD,)))
        ears = ScriptedTranscriber(["time?"], 0.01)
        mind = ScriptedMind([[Hang()]], first_seconds=0.01)
        async with a_session(ears=ears, mind=mind, house=house) as robot:
            await robot.speak(np.concatenate((speech(800), silence(420), speech(800))))
            assert mind.asked
            assert [type(output) for _, output in robot.said] == [outputs.SpeechStarted]

    run_virtual(main())


def test_an_answer_that_is_ready_needs_no_word_before_it() -> None:
    async def main() -> None:
        house = replace(HOUSE, tentative_ms=128, filler=FillerRules(0.0, (WORD,)))
        ears = ScriptedTranscriber(["time?"], 0.01)
        mind = ScriptedMind([ANSWER], first_seconds=0.01)
        mouth = ScriptedMouth(delay=0.01)
        async with a_session(ears=ears, mind=mind, mouth=mouth, house=house) as robot:
            await robot.speak(np.concatenate((speech(800), silence(2_000))), chunk_ms=32)
            await robot.until(outputs.ReplyDone)
            assert not robot.all(outputs.FillerStarted)
            first = robot.time_of(outputs.ReplyAudio)
            assert first == robot.time_of(outputs.SpeechStopped)

    run_virtual(main())


def test_what_is_not_waited_for_gets_none() -> None:
    async def main() -> None:
        house = replace(HOUSE, filler=FillerRules(0.1, (WORD,)))
        mouth = ScriptedMouth(delay=0.5)
        mind = ScriptedMind([EngineFailed("no")], first_seconds=0.05)
        async with a_session(mind=mind, mouth=mouth, house=house) as robot:
            await asyncio.sleep(1.0)
            robot.session.post(events.Say("Battery low."))
            await robot.until(outputs.ReplyDone, reply_id=1)
            robot.session.idle(30, "")
            await robot.until(outputs.ReplyDone, reply_id=2)
            robot.session.post(events.Typed("time?"))  # an apology
            await robot.until(outputs.ReplyDone, reply_id=3)
            assert not robot.all(outputs.FillerStarted)

    run_virtual(main())


def test_an_apology_comes_after_it() -> None:
    async def main() -> None:
        mind = ScriptedMind([[Pause(1.5), EngineFailed("no")]], first_seconds=0.0)
        async with a_session(mind=mind, house=HOUSE) as robot:
            await asyncio.sleep(1.0)
            robot.session.post(events.Typed("time?"))
            assert (await robot.until(outputs.ReplyDone)).reason == "failed"
            assert [what for what, _, _ in heard(robot)] == ["word", "answer"]
            assert [said.text for said in robot.all(outputs.AssistantSaid)] == [
                "Sorry, I can't think right now."
            ]

    run_virtual(main())


def test_a_follow_up_that_takes_long_has_one_and_a_reply_that_acts_has_none() -> None:
    async def main() -> None:
        mind = ScriptedMind(
            [[ToolCall("look", "{}"), Pause(3.0), " "], [Pause(2.0), "A cat."]], first_seconds=0.2
        )
        async with a_session(mind=mind, house=HOUSE) as robot:
            await asyncio.sleep(1.0)
            robot.session.post(events.Typed("look"))
            call = await robot.until(outputs.ToolCalled)
            robot.session.post(events.ToolResult(call.call_id, "a cat", True))
            await robot.until(outputs.ReplyDone, reply_id=2)
            assert [said.reply_id for said in robot.all(outputs.FillerStarted)] == [2]

    run_virtual(main())


@pytest.mark.parametrize("act", ["cancel", "speech", "typed"])
def test_it_is_interrupted_as_a_reply_is(act: str) -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mind = ScriptedMind([[Hang()], ANSWER])
        house = replace(HOUSE, echo="none", lead_ms=200)
        async with a_session(mind=mind, house=house, memory=memory) as robot:
            await asyncio.sleep(1.0)
            robot.session.post(events.Typed("time?"))
            await robot.until(outputs.FillerStarted)
            await asyncio.sleep(0.2)
            if act == "cancel":
                robot.session.post(events.Cancel())
            elif act == "typed":
                robot.session.post(events.Typed("no, the date"))
            else:
                await robot.speak(speech(400))
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == ("cancelled" if act == "cancel" else "interrupted")
            assert not robot.all(outputs.AssistantSaid)
            assert mind.active <= 1
            await robot.speak(silence(3_000))
            contents = [message.content for message in memory.history.messages()]
            assert WORD not in " ".join(contents)

    run_virtual(main())


def test_a_robot_that_may_hear_itself_knows_it_by_its_words() -> None:
    async def main() -> None:
        words = "Let me think about that one."
        house = HouseRules(echo="guard", filler=FillerRules(1.0, (words,)))
        ears, mind = ScriptedTranscriber([words.lower()]), ScriptedMind([ANSWER], first_seconds=4.0)
        async with a_session(ears=ears, mind=mind, house=house) as robot:
            robot.session.post(events.Typed("time?"))
            await robot.until(outputs.FillerStarted)
            await robot.speak(np.concatenate((3 * speech(800), silence(700))), chunk_ms=32)
            assert ears.heard, "it is louder than thought, and so is listened to"
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "completed"
            assert not robot.all(outputs.SpeechStarted)
            assert [said.text for said in robot.all(outputs.AssistantSaid)] == [ANSWER]

    run_virtual(main())


def test_the_texts_go_round() -> None:
    async def main() -> None:
        rules = FillerRules(0.5, ("Hm.", "Let me think."))
        mind = ScriptedMind([ANSWER], first_seconds=2.0)
        async with a_session(mind=mind, house=HouseRules(filler=rules)) as robot:
            await asyncio.sleep(1.0)
            for turn in (1, 2, 3):
                robot.session.post(events.Typed("time?"))
                await robot.until(outputs.ReplyDone, reply_id=turn)
            told = [output.text for output in robot.all(outputs.FillerStarted)]
            assert told == ["Hm.", "Let me think.", "Hm."]

    run_virtual(main())


def test_its_sound_is_made_ahead_once_a_voice() -> None:
    async def main() -> None:
        mouth = ScriptedMouth()
        mind = ScriptedMind([ANSWER], first_seconds=2.0)
        async with a_session(mind=mind, mouth=mouth, house=HOUSE) as robot:
            await asyncio.sleep(1.0)
            assert mouth.said == [(WORD, None, None)]
            robot.session.post(events.Typed("time?"))
            await robot.until(outputs.ReplyDone)
            assert mouth.said == [(WORD, None, None), (ANSWER, None, None)]
            robot.session.configure({"voice": "other", "output_sample_rate": 48_000})
            await asyncio.sleep(1.0)
            assert mouth.said[2:] == [(WORD, "other", None)]
            robot.session.post(events.Typed("time?"))
            await robot.until(outputs.ReplyDone, reply_id=2)
            assert {sound.audio.sample_rate for sound in robot.all(outputs.ReplyAudio)} == {
                16_000, 48_000,
            }  # fmt: skip
            assert len(robot.all(outputs.FillerStarted)) == 2

    run_virtual(main())


def test_a_voice_that_has_no_time_is_asked_again_and_an_answer_never_waits_for_it() -> None:
    async def main() -> None:
        mouth = ScriptedMouth(failures=[EngineBusy("busy"), None, None, None])
        mind = ScriptedMind([ANSWER], first_seconds=2.0)
        async with a_session(mind=mind, mouth=mouth, house=HOUSE) as robot:
            await asyncio.sleep(1.0)
            for turn in (1, 2):
                robot.session.post(events.Typed("time?"))
                await robot.until(outputs.ReplyDone, reply_id=turn)
            assert [said.reply_id for said in robot.all(outputs.FillerStarted)] == [2]

    run_virtual(main())


def test_a_robot_without_a_voice_says_nothing_in_between() -> None:
    async def main() -> None:
        mind = ScriptedMind([ANSWER], first_seconds=2.0)
        async with a_session(mind=mind, mute=True, house=HOUSE) as robot:
            robot.session.post(events.Typed("time?"))
            await robot.until(outputs.ReplyDone)
            assert not robot.all(outputs.FillerStarted)
            assert [said.text for said in robot.all(outputs.AssistantSaid)] == [ANSWER]

    run_virtual(main())


def test_a_text_that_cannot_be_said_is_asked_for_once() -> None:
    async def main() -> None:
        mouth, fillers = ScriptedMouth(), Fillers(FillerRules(1.0, ("...",)))
        assert fillers.wanted(mouth, None)
        await fillers.make(mouth, None, unhurried("r"))
        assert not fillers.wanted(mouth, None)
        assert fillers.sound("...", mouth, None) is None

    run_virtual(main())
