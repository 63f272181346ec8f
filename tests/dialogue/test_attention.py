"""Wake phrases and muting in a whole session, on scripted engines in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules, SessionConfig
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import EngineFailed, ToolCall
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import (
    ScriptedDetector,
    ScriptedMind,
    ScriptedMouth,
    ScriptedTranscriber,
)
from tests.virtual_time import run_virtual

CHOOSY = HouseRules(defaults=SessionConfig(wake_phrases=("hey reachy",)), wake_window_s=8.0)
CALLED = "Hey Richie, what time is it?"
TELEVISION = "And now the weather."


async def say(robot: Robot, after_ms: int = 1_000) -> None:
    """Words, and silence after them."""
    await robot.speak(np.concatenate((speech(800), silence(after_ms))), chunk_ms=32)


def texts(robot: Robot) -> list[str]:
    return [said.text for said in robot.all(outputs.UserSaid)]


def attention(robot: Robot) -> list[bool]:
    return [turned.on for turned in robot.all(outputs.AttentionTurned)]


@pytest.mark.parametrize("tentative_ms", [0, 128])
def test_the_television_is_not_answered_told_or_remembered(tentative_ms: int) -> None:
    async def main() -> None:
        memory, mind = RobotMemory(History()), ScriptedMind(["Five."])
        ears = ScriptedTranscriber([TELEVISION], 0.05)
        house = replace(CHOOSY, tentative_ms=tentative_ms)
        async with a_session(ears=ears, mind=mind, house=house, memory=memory) as robot:
            for turn in (1, 2, 3):
                await say(robot)
                await robot.until(outputs.Unattended, turn=turn)
            assert not mind.asked
            assert not robot.all(outputs.UserSaid)
            assert not robot.all(outputs.ReplyStarted)
            assert not robot.all(outputs.AttentionTurned)
            assert len(robot.all(outputs.Listening)) == 3
            assert len(robot.all(outputs.SpeechStopped)) == 3
        assert memory.history.snapshot() == ()

    run_virtual(main())


@pytest.mark.parametrize("tentative_ms", [0, 128])
def test_who_says_the_phrase_is_answered_and_the_mind_gets_what_follows_it(
    tentative_ms: int,
) -> None:
    async def main() -> None:
        memory, mind = RobotMemory(History()), ScriptedMind(["Five."])
        ears = ScriptedTranscriber([CALLED], 0.05)
        house = replace(CHOOSY, tentative_ms=tentative_ms)
        async with a_session(ears=ears, mind=mind, house=house, memory=memory) as robot:
            await say(robot)
            await robot.until(outputs.ReplyDone)
            assert texts(robot) == [CALLED]
            assert [m.content for m in memory.history.messages()] == ["What time is it?", "Five."]
            assert len(mind.asked) == 1, "an answer made ahead is the one that is given"
            assert attention(robot) == [True]

    run_virtual(main())


@pytest.mark.parametrize(("said", "told"), [(TELEVISION, False), (CALLED, True)])
def test_partial_transcripts_are_told_of_what_is_for_the_robot(said: str, told: bool) -> None:
    async def main() -> None:
        mind, ears = ScriptedMind(["Five."]), ScriptedTranscriber([said], 0.05)
        house = replace(CHOOSY, tentative_ms=128, partials=True)
        async with a_session(ears=ears, mind=mind, house=house) as robot:
            sound = np.concatenate((speech(2_000), silence(2_000)))
            await robot.speak(sound, chunk_ms=32)
            assert len(ears.heard) > 1, "it was heard while it was being said"
            assert [partial.text for partial in robot.all(outputs.UserPartial)] == [said] * told
            assert len(mind.asked) == told

    run_virtual(main())


@pytest.mark.parametrize(
    ("rest_s", "answered"),
    [(0.5, True), (4.0, True), (7.8, True), (8.2, False), (20.0, False)],
)
def test_a_conversation_goes_on_without_it_for_a_while(rest_s: float, answered: bool) -> None:
    """From the end of a reply to the first word."""

    async def main() -> None:
        ears = ScriptedTranscriber([CALLED, "And tomorrow?"])
        async with a_session(ears=ears, mind=ScriptedMind(["Five."]), house=CHOOSY) as robot:
            await say(robot)
            await robot.until(outputs.ReplyDone, reply_id=1)
            await asyncio.sleep(rest_s - 0.1)
            await robot.speak(silence(96), chunk_ms=32)
            await say(robot, after_ms=2_000)
            assert (len(robot.all(outputs.ReplyStarted)) == 2) == answered
            assert attention(robot) == ([True] if answered else [True, False])
            if answered:
                await asyncio.sleep(9.0)
                assert attention(robot) == [True, False]

    run_virtual(main())


def test_the_window_begins_anew_with_each_reply_and_ends_once() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([CALLED, "And then?"])
        async with a_session(ears=ears, mind=ScriptedMind(["Five."]), house=CHOOSY) as robot:
            await say(robot)
            for reply_id in (1, 2, 3):
                await robot.until(outputs.ReplyDone, reply_id=reply_id)
                await asyncio.sleep(5.0)
                await say(robot)
            await robot.until(outputs.ReplyDone, reply_id=4)
            ended = asyncio.get_running_loop().time()
            await robot.until(outputs.AttentionTurned, on=False)
            assert robot.time_of(outputs.AttentionTurned, 1) - ended == pytest.approx(8.0, abs=0.1)
            assert attention(robot) == [True, False]

    run_virtual(main())


def test_the_phrase_alone_opens_the_window() -> None:
    async def main() -> None:
        memory, mind = RobotMemory(History()), ScriptedMind(["Five."])
        ears = ScriptedTranscriber(["Hey Reachy.", "What time is it?"])
        async with a_session(ears=ears, mind=mind, house=CHOOSY, memory=memory) as robot:
            await say(robot)
            assert attention(robot) == [True]
            assert texts(robot) == ["Hey Reachy."]
            assert not robot.all(outputs.ReplyStarted)
            assert not robot.all(outputs.Problem)
            await asyncio.sleep(4.0)
            await say(robot)
            await robot.until(outputs.ReplyDone)
            assert [m.content for m in memory.history.messages()] == ["What time is it?", "Five."]

    run_virtual(main())


def test_a_barge_in_is_a_part_of_the_conversation() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([CALLED, *["No, in London."] * 3])
        mind = ScriptedMind(["It is a quarter past five here in the kitchen. " * 3, "Four."])
        async with a_session(ears=ears, mind=mind, house=CHOOSY) as robot:
            robot.session.configure({"echo_cancellation": True})
            await say(robot)
            await robot.until(outputs.ReplyAudio)
            await asyncio.sleep(1.0)
            await say(robot)
            assert (await robot.until(outputs.ReplyDone)).reason == "interrupted"
            await robot.until(outputs.ReplyDone, reply_id=2)
            assert texts(robot) == [CALLED, "No, in London."]
            assert attention(robot) == [True]

    run_virtual(main())


def test_typed_words_are_for_the_robot_and_open_the_window_and_its_app_does_not() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["And tomorrow?"])
        async with a_session(ears=ears, mind=ScriptedMind(["Five."]), house=CHOOSY) as robot:
            robot.session.post(events.Say("Battery low."))
            await robot.until(outputs.ReplyDone, reply_id=1)
            robot.session.idle(60, "")
            await robot.until(outputs.ReplyDone, reply_id=2)
            assert attention(robot) == []
            await asyncio.sleep(0.5)
            await say(robot)
            await robot.until(outputs.Unattended)
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone, reply_id=3)
            await asyncio.sleep(2.0)
            await say(robot)
            await robot.until(outputs.ReplyDone, reply_id=4)
            assert texts(robot) == ["And tomorrow?"]

    run_virtual(main())


def test_the_window_waits_for_tools() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([CALLED])
        mind = ScriptedMind([[ToolCall("look", "{}")], "I see a cat."])
        house = replace(CHOOSY, tool_timeout_s=30.0)
        async with a_session(ears=ears, mind=mind, house=house) as robot:
            await say(robot)
            call = await robot.until(outputs.ToolCalled)
            await asyncio.sleep(20.0)
            assert attention(robot) == [True]
            robot.session.post(events.ToolResult(call.call_id, "a cat", True))
            await robot.until(outputs.ReplyDone, reply_id=2)
            await asyncio.sleep(9.0)
            assert attention(robot) == [True, False]

    run_virtual(main())


def test_push_to_talk_needs_no_phrase() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([TELEVISION])
        async with a_session(ears=ears, house=CHOOSY) as robot:
            robot.session.configure({"turn_detection": None})
            await robot.speak(speech(800))
            robot.session.post(events.EndUtterance())
            await robot.until(outputs.ReplyDone)
            assert texts(robot) == [TELEVISION]
            assert attention(robot) == []

    run_virtual(main())


@pytest.mark.parametrize("error", [EngineFailed("no"), ""])
def test_noise_and_ears_that_fail_are_not_excused_to_the_television(error: str | Exception) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([error])
        async with a_session(ears=ears, house=CHOOSY) as robot:
            await say(robot)
            assert not robot.all(outputs.ReplyStarted)
            assert len(robot.all(outputs.Listening)) == 1
            problems = [problem.code for problem in robot.all(outputs.Problem)]
            assert problems == (["stt_failed"] if error else [])

    run_virtual(main())


def test_a_robot_may_choose_its_own_phrases() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["Computer, dance.", CALLED, CALLED])
        async with a_session(ears=ears, mind=ScriptedMind(["Yes."]), house=HouseRules()) as robot:
            robot.session.configure({"wake_phrases": ("computer",)})
            updated = await robot.until(outputs.SessionUpdated)
            assert updated.config.wake_phrases == ("computer",)
            await say(robot)
            await robot.until(outputs.ReplyDone, reply_id=1)
            await asyncio.sleep(9.0)
            await say(robot)
            await robot.until(outputs.Unattended)
            robot.session.configure({"wake_phrases": ()})
            await say(robot)
            await robot.until(outputs.ReplyDone, reply_id=2)

    run_virtual(main())


# -- mute ----------------------------------------------------------------------------------------


def test_a_muted_microphone_is_not_listened_to() -> None:
    async def main() -> None:
        detector, ears = ScriptedDetector(), ScriptedTranscriber(["hello"])
        async with a_session(detector=detector, ears=ears) as robot:
            robot.session.configure({"muted": True})
            assert (await robot.until(outputs.SessionUpdated)).config.muted
            await say(robot, after_ms=2_000)
            assert detector.calls == 0
            assert not ears.heard
            assert [type(output) for _, output in robot.said] == [outputs.SessionUpdated]
            robot.session.post(events.Typed("hello"))
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"
            robot.session.configure({"muted": False})
            await say(robot)
            await robot.until(outputs.ReplyDone, reply_id=2)
            # Nothing of what was said before is in it: 800 ms, and 200 after them.
            assert ears.heard[0] <= (800 + 200 + 2 * 32) * 16

    run_virtual(main())


@pytest.mark.parametrize("after_ms", [0, 200, 450])
def test_what_was_being_said_is_dropped(after_ms: int) -> None:
    async def main() -> None:
        mind, ears = ScriptedMind(["Yes."]), ScriptedTranscriber(["hello"], 0.05)
        house = HouseRules(tentative_ms=128)
        async with a_session(mind=mind, ears=ears, house=house) as robot:
            await say(robot, after_ms=after_ms)
            robot.session.configure({"muted": True})
            await robot.speak(silence(2_000))
            kinds = [type(output).__name__ for _, output in robot.said]
            assert kinds == ["SpeechStarted", "SpeechStopped", "Listening", "SessionUpdated"]

    run_virtual(main())


def test_a_reply_under_way_goes_on_and_is_not_interrupted() -> None:
    async def main() -> None:
        mind = ScriptedMind(["It is a quarter past five here in the kitchen. " * 2])
        async with a_session(mind=mind, mouth=ScriptedMouth()) as robot:
            robot.session.configure({"echo_cancellation": True})
            robot.session.post(events.Typed("time?"))
            await robot.until(outputs.ReplyAudio)
            robot.session.configure({"muted": True})
            await say(robot)
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"

    run_virtual(main())


def test_a_muted_button_hears_nothing() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["hello"])
        async with a_session(ears=ears) as robot:
            robot.session.configure({"turn_detection": None})
            await robot.speak(speech(400))
            robot.session.configure({"muted": True})
            await robot.speak(speech(400))
            robot.session.post(events.EndUtterance())
            assert (await robot.until(outputs.Problem)).code == "not_understood"
            assert not ears.heard

    run_virtual(main())
