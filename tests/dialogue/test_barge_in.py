"""Speech over a reply, on scripted engines in virtual time: what stops it, what only holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import EngineFailed, Message
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import Hang, Pause, ScriptedMind, ScriptedMouth, ScriptedTranscriber
from tests.virtual_time import run_virtual

COUNTING = "one two three four five six seven eight nine ten eleven twelve. " * 3
NONE = HouseRules(echo="none", tentative_ms=128)
EARS_S = 0.15
FRAME_MS = 32


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def a_reply_under_way(
    hears: Sequence[str | Hang | Exception],
    *,
    house: HouseRules = NONE,
    ears_s: float = EARS_S,
    memory: RobotMemory | None = None,
    marks: bool = False,
    mind: ScriptedMind | None = None,
    mouth: ScriptedMouth | None = None,
    ears: ScriptedTranscriber | None = None,
) -> AsyncIterator[Robot]:
    """A robot that has been counting for a second; what is said over that is heard as `hears`."""
    async with a_session(
        mind=mind or ScriptedMind([COUNTING, "Yes?"]),
        mouth=mouth,
        ears=ears or ScriptedTranscriber(hears, ears_s),
        house=house,
        memory=memory,
    ) as robot:
        robot.session.configure({"playback_marks": marks})
        robot.session.post(events.Typed("count"))
        await robot.until(outputs.ReplyAudio)
        await robot.speak(silence(1_024), chunk_ms=32)
        yield robot


def sent(robot: Robot, reply_id: int = 1) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """All sound of a reply."""
    pieces = [piece for piece in robot.all(outputs.ReplyAudio) if piece.reply_id == reply_id]
    return np.concatenate([piece.audio.samples for piece in pieces])


def gaps(robot: Robot) -> float:
    """The longest that the robot had nothing to play within its reply, in s."""
    played_by = longest = 0.0
    for time, output in robot.said:
        if isinstance(output, outputs.ReplyAudio):
            if played_by:
                longest = max(longest, time - played_by)
            played_by = max(played_by, time) + output.audio.seconds
    return longest


async def undisturbed() -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], str]:
    async with a_reply_under_way(["never"]) as robot:
        await robot.speak(silence(1_000), chunk_ms=32)
        await robot.until(outputs.ReplyDone)
        return sent(robot), robot.all(outputs.AssistantSaid)[0].text


@pytest.mark.parametrize("text", ["Mm-hm.", "yeah, okay", "", " ", "Right."])
@pytest.mark.parametrize("voiced_ms", [320, 416, 608])
def test_a_back_channel_holds_the_reply_and_it_goes_on_at_the_very_sample(
    text: str, voiced_ms: int
) -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        async with a_reply_under_way([text], memory=memory) as robot:
            began, ended = now(), now() + voiced_ms / 1_000
            await robot.speak(np.concatenate((speech(voiced_ms), silence(1_500))), chunk_ms=32)
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "completed"
            assert not robot.all(outputs.SpeechStarted)
            assert not robot.all(outputs.UserSaid)
            assert not robot.all(outputs.Problem)
            times = [time for time, output in robot.said if isinstance(output, outputs.ReplyAudio)]
            in_doubt = [time for time in times if began + 0.128 < time < ended + 0.1]
            assert not in_doubt, "nothing is sent while it may be an interruption"
            resumed = min(time for time in times if time > ended)
            # The silence after which it is heard whole, and the hearing.
            assert resumed - ended <= 0.128 + EARS_S + 0.035
            assert gaps(robot) < 0.3
            samples, words = await_undisturbed
            np.testing.assert_array_equal(sent(robot), samples)
            assert robot.all(outputs.AssistantSaid)[0].text == words
        assert memory.history.messages() == (
            Message("user", "count"),
            Message("assistant", COUNTING.strip()),
        )

    await_undisturbed = run_virtual(undisturbed())
    run_virtual(main())


def test_a_back_channel_that_is_soon_over_isnt_even_heard() -> None:
    async def main() -> None:
        async with a_reply_under_way(["mm-hm"], ears_s=0.05) as robot:
            await robot.speak(np.concatenate((speech(320), silence(1_500))), chunk_ms=32)
            await robot.until(outputs.ReplyDone)
            assert gaps(robot) <= 0, "the robot never ran out of sound"

    run_virtual(main())


@pytest.mark.parametrize(
    ("text", "ears_s", "voiced_ms", "after_ms"),
    [
        # Words are plain at 300 ms (in frames of 32 ms), and are heard.
        ("what is that", 0.15, 2_000, 320 + 150),
        ("stop", 0.05, 2_000, 320 + 50),
        # What begins like a back-channel, and goes on, is none.
        ("yeah", 0.05, 2_000, 1_024),
        ("", 0.05, 2_000, 1_024),
        # Ears that are slow, fail or hang hold nobody up.
        ("what is that", 3.0, 2_000, 1_024),
        (EngineFailed("broken"), 0.05, 2_000, 1_024),
        (Hang(), 0.0, 2_000, 1_024),
        # Short, and then silence: it is heard whole.
        ("stop", 0.15, 320, 320 + 150),
        ("right now", 0.01, 416, 320 + 10),
    ],
)
def test_how_soon_an_interruption_ends_the_reply(
    text: str | Hang | Exception, ears_s: float, voiced_ms: int, after_ms: int
) -> None:
    async def main() -> None:
        async with a_reply_under_way([text], ears_s=ears_s) as robot:
            began = now()
            await robot.speak(np.concatenate((speech(voiced_ms), silence(700))), chunk_ms=32)
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "interrupted"
            took = (robot.time_of(outputs.ReplyDone) - began) * 1_000
            assert took == pytest.approx(after_ms - FRAME_MS, abs=1), (
                "the first frame comes at once"
            )
            assert robot.time_of(outputs.SpeechStarted) == robot.time_of(outputs.ReplyDone)
            last = max(
                time
                for time, output in robot.said
                if isinstance(output, outputs.ReplyAudio) and output.reply_id == 1
            )
            assert last - began <= 0.128, "no more is sent from the first speech on"

    run_virtual(main())


def test_a_short_word_is_heard_once_at_its_end_and_answered_ahead() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["sto", "Stop that."], 0.05)
        async with a_reply_under_way([], ears=ears) as robot:
            ears_asked = len(ears.heard)
            await robot.speak(np.concatenate((speech(448), silence(1_000))), chunk_ms=32)
            done = await robot.until(outputs.ReplyDone, reply_id=2)
            assert robot.all(outputs.UserSaid) == [outputs.UserSaid("Stop that.", 2)]
            # "sto" in its midst is words, so the turn is open and heard as any other.
            assert len(ears.heard) - ears_asked == 2
            assert done.timings.ahead is not None

    run_virtual(main())


@pytest.mark.parametrize("tentative_ms", [0, 128])
def test_what_was_heard_in_the_pause_is_never_heard_again(tentative_ms: int) -> None:
    async def main() -> None:
        # In its midst it sounds like a back-channel.
        ears = ScriptedTranscriber(["ok", "Okay, stop."], 0.05)
        house = replace(NONE, tentative_ms=tentative_ms)
        async with a_reply_under_way([], ears=ears, house=house) as robot:
            await robot.speak(np.concatenate((speech(448), silence(1_000))), chunk_ms=32)
            done = await robot.until(outputs.ReplyDone, reply_id=2)
            assert robot.all(outputs.UserSaid) == [outputs.UserSaid("Okay, stop.", 2)]
            assert len(ears.heard) == 2, "its transcript is taken over"
            assert done.timings.stt == pytest.approx(50, abs=1)

    run_virtual(main())


def test_speech_that_goes_on_after_a_back_channel_is_one_utterance() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["yeah", "yeah", "Yeah but why?", "Yeah but why?"], 0.15)
        async with a_reply_under_way([], ears=ears) as robot:
            await robot.speak(
                np.concatenate((speech(352), silence(160), speech(608), silence(1_000))),
                chunk_ms=32,
            )
            assert (await robot.until(outputs.ReplyDone)).reason == "interrupted"
            await robot.until(outputs.UserSaid)
            assert robot.all(outputs.UserSaid) == [outputs.UserSaid("Yeah but why?", 2)]
            assert ears.heard[-1] >= (352 + 160 + 608) * 16, "all of it is heard"

    run_virtual(main())


def test_slow_ears_hold_the_reply_no_longer_than_a_second_and_are_believed_all_the_same() -> None:
    async def main(text: str) -> Robot:
        house = replace(NONE, backchannel_ms=5_000)
        async with a_reply_under_way([text], ears_s=2.0, house=house) as robot:
            ended = now() + 0.416
            await robot.speak(np.concatenate((speech(416), silence(4_000))), chunk_ms=32)
            times = [time for time, output in robot.said if isinstance(output, outputs.ReplyAudio)]
            assert min(time for time in times if time > ended) - ended <= 1.0
            await robot.until(outputs.ReplyDone)
        return robot

    robot = run_virtual(main("mm-hm"))
    assert robot.all(outputs.ReplyDone)[0].reason == "completed"
    robot = run_virtual(main("stop it"))
    assert robot.all(outputs.ReplyDone)[0].reason == "interrupted"
    assert robot.all(outputs.UserSaid) == [outputs.UserSaid("stop it", 2)]


def test_a_robot_that_sends_nothing_but_speech_is_understood() -> None:
    async def main(text: str) -> Robot:
        async with a_reply_under_way([text]) as robot:
            await robot.speak(speech(416), chunk_ms=32)
            await asyncio.sleep(3)
            await robot.until(outputs.ReplyDone)
        return robot

    robot = run_virtual(main("mm-hm"))
    assert robot.all(outputs.ReplyDone)[0].reason == "completed"
    assert gaps(robot) < 1.0
    robot = run_virtual(main("stop it"))
    assert robot.all(outputs.ReplyDone)[0].reason == "interrupted"
    assert robot.all(outputs.UserSaid) == [outputs.UserSaid("stop it", 2)]


def test_who_is_never_understood_has_the_floor_once_the_reply_has_ended() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([Hang(), Hang(), "stop it"])
        async with a_reply_under_way([], ears=ears) as robot:
            await robot.speak(speech(416), chunk_ms=32)  # and not a sample of silence
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"
            assert (await robot.until(outputs.UserSaid)).text == "stop it"
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"

    run_virtual(main())


def test_a_cancel_forgets_what_was_said_long_ago_and_never_understood() -> None:
    async def main() -> None:
        async with a_reply_under_way([Hang()]) as robot:
            await robot.speak(speech(416), chunk_ms=32)  # and not a sample of silence
            await asyncio.sleep(1.5)
            robot.session.post(events.Cancel())
            await robot.until(outputs.Listening)
            await asyncio.sleep(5)
            assert not robot.all(outputs.SpeechStarted)
            assert robot.session.quiet.is_set()

    run_virtual(main())


def test_an_answer_to_the_reply_that_begins_over_its_end_is_a_turn() -> None:
    async def main() -> None:
        mind = ScriptedMind(["Shall I dance?", "Then I dance."])
        async with a_session(mind=mind, ears=ScriptedTranscriber(["yes"]), house=NONE) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyAudio)
            await robot.speak(silence(512), chunk_ms=32)  # it is said to its end by 840 ms
            await robot.speak(np.concatenate((speech(416), silence(1_000))), chunk_ms=32)
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"
            assert (await robot.until(outputs.UserSaid)).text == "yes"
            assert (await robot.until(outputs.ReplyDone, reply_id=2)).reason == "completed"

    run_virtual(main())


def test_a_back_channel_while_the_robot_is_silent_is_a_turn() -> None:
    async def main() -> None:
        async with a_session(ears=ScriptedTranscriber(["mm-hm"]), house=NONE) as robot:
            await robot.speak(np.concatenate((speech(416), silence(1_000))), chunk_ms=32)
            assert (await robot.until(outputs.UserSaid)).text == "mm-hm"
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"

    run_virtual(main())


def test_held_time_is_not_counted_as_heard() -> None:
    async def heard(text: str, *, marks: bool) -> str:
        """What the history has of the reply, when it was cancelled 3 s after it began."""
        memory = RobotMemory(History())
        # Ears so slow that the robot runs dry, and stands for a while.
        async with a_reply_under_way(
            [text], ears_s=1.0, memory=memory, marks=marks, house=replace(NONE, lead_ms=300)
        ) as robot:
            await robot.speak(np.concatenate((speech(416), silence(600))), chunk_ms=32)
            if marks:
                robot.session.played(
                    1,
                    sum(
                        len(p.audio.samples) / p.audio.sample_rate
                        for p in robot.all(outputs.ReplyAudio)
                    )
                    - 0.06,
                )
            robot.session.post(events.Cancel())
            await robot.until(outputs.ReplyDone)
            played = len(sent(robot)) / 16_000
            assert played < 1.6, "it ran dry"
        return memory.history.messages()[1].content

    by_clock = run_virtual(heard("mm-hm", marks=False))
    assert by_clock == run_virtual(heard("mm-hm", marks=True))
    # 60 ms a letter: no word that wasn't sent.
    assert len(by_clock) * 0.06 <= 1.6
    assert COUNTING.startswith(by_clock)


@pytest.mark.parametrize("stage", ["mind before its first word", "mind", "mouth", "ears"])
def test_an_interruption_frees_every_engine_at_once(stage: str) -> None:
    async def main() -> None:
        mind = ScriptedMind([["one two three four five, ", Pause(60.0), "six."], "Yes?"])
        mouth = ScriptedMouth()
        if stage == "mouth":
            mind = ScriptedMind([COUNTING, "Yes?"])
            mouth = ScriptedMouth(block_delay=0.095)
        async with a_reply_under_way(["stop it"], mind=mind, mouth=mouth) as robot:
            if stage == "mind before its first word":
                robot.session.post(events.Typed("again"))
                await asyncio.sleep(0.05)
            assert mind.active or mouth.active
            await robot.speak(speech(800), chunk_ms=32)
            done = robot.time_of(outputs.ReplyDone, -1)
            assert done <= now()
            assert not mind.active
            assert not mouth.active

    run_virtual(main())


def test_whatever_happens_while_a_reply_is_held_it_ends_once_and_nothing_is_stuck() -> None:
    async def main(act: str) -> None:
        async with a_reply_under_way(["mm-hm"]) as robot:
            await robot.speak(speech(352), chunk_ms=32)
            session = robot.session
            match act:
                case "cancel":
                    session.post(events.Cancel())
                case "clear":
                    session.post(events.Clear())
                case "type":
                    session.post(events.Typed("hello"))
                case "say":
                    session.post(events.Say("Battery low."))
                case "end":
                    session.post(events.EndUtterance())
                case "half duplex":
                    session.configure({"turn_detection": {"interrupt": False}})
                case "push to talk":
                    session.configure({"turn_detection": None})
                case "hang up":
                    session.hang_up(1000, "")
                    return
            await robot.speak(silence(1_500), chunk_ms=32)
            await robot.until(outputs.Listening)
            reasons = {done.reply_id: done.reason for done in robot.all(outputs.ReplyDone)}
            stops = {"cancel": "cancelled", "type": "interrupted", "say": "interrupted",
                     "end": "interrupted"}  # fmt: skip
            assert reasons[1] == stops.get(act, "completed")

    for act in ("cancel", "clear", "type", "say", "end", "half duplex", "push to talk", "hang up"):
        run_virtual(main(act))


def test_a_reply_that_fails_while_it_is_held_apologises_after_it() -> None:
    async def main() -> None:
        mind = ScriptedMind([["one two three four five. ", Pause(1.5), EngineFailed("broken")]])
        async with a_reply_under_way(["mm-hm"], mind=mind, ears_s=0.5) as robot:
            await robot.speak(np.concatenate((speech(416), silence(2_000))), chunk_ms=32)
            assert (await robot.until(outputs.ReplyDone)).reason == "failed"
            assert "Sorry" in robot.all(outputs.AssistantSaid)[0].text
            failed = robot.time_of(outputs.Problem)
            apology = [
                time for time, output in robot.said
                if isinstance(output, outputs.ClauseStarted) and "Sorry" in output.text
            ]  # fmt: skip
            assert apology[0] > failed

    run_virtual(main())
