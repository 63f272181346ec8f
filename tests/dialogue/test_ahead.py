"""Hearing and answering ahead of the end of a turn, on scripted engines in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from brain.dialogue import outputs
from brain.dialogue.ahead import AheadCounters
from brain.dialogue.config import HouseRules
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.engines.ports import EngineBusy, EngineFailed, EngineTimeout, ToolCall
from tests.dialogue.acts import cancel, clear, end, hang_up, push_to_talk, typed
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import Hang, ScriptedMind, ScriptedMouth, ScriptedTranscriber
from tests.virtual_time import run_virtual

# Silence is judged in frames of 32 ms: the guess comes after 128 ms of it, the end after 512.
AHEAD = HouseRules(tentative_ms=128)
REPLY = "Hello there, nice to meet you."
# What follows the last speech: a guess, 150 ms of hearing, 200 ms to the first token, two more of
# 25 ms to the end of the first clause, 100 ms of speaking.
CHAIN_MS = 128 + 150 + 200 + 2 * 25 + 100


def said_once(pauses_ms: tuple[int, ...] = ()) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Speech, with pauses in it, and silence after it."""
    parts = [speech(800)]
    for pause in pauses_ms:
        parts += [silence(pause), speech(640)]
    return np.concatenate((*parts, silence(2_500)))


@pytest.mark.parametrize(
    ("tentative_ms", "stages_s", "heard_after_ms"),
    [
        (0, (0.150, 0.200, 0.100), 512 + CHAIN_MS - 128),
        (128, (0.150, 0.200, 0.100), CHAIN_MS),
        (160, (0.150, 0.200, 0.100), CHAIN_MS + 32),
        (256, (0.150, 0.200, 0.100), CHAIN_MS + 128),
        # Quick engines are done before the silence is: the reply comes with its end.
        (128, (0.010, 0.010, 0.010), 512),
        (128, (0.000, 0.000, 0.000), 512),
        # The end comes while it is still being heard.
        (128, (0.600, 0.200, 0.100), 128 + 600 + 200 + 50 + 100),
    ],
)
def test_the_reply_is_as_early_as_engines_and_silence_allow(
    tentative_ms: int, stages_s: tuple[float, float, float], heard_after_ms: int
) -> None:
    ears_s, mind_s, mouth_s = stages_s

    async def main() -> None:
        ears = ScriptedTranscriber(["hello robot"], ears_s)
        mind = ScriptedMind([REPLY], first_seconds=mind_s)
        mouth = ScriptedMouth(delay=mouth_s)
        house = replace(AHEAD, tentative_ms=tentative_ms)
        async with a_session(ears=ears, mind=mind, mouth=mouth, house=house) as robot:
            await robot.speak(said_once(), chunk_ms=32)  # as the detector judges it
            done = await robot.until(outputs.ReplyDone)
            assert done.timings.voice_to_voice_server == pytest.approx(heard_after_ms, abs=1)
            assert done.timings.endpoint == pytest.approx(512, abs=1)
            early = pytest.approx(512 - tentative_ms, abs=1) if tentative_ms else None
            assert done.timings.ahead == early
            assert done.timings.stt == pytest.approx(ears_s * 1000, abs=1)
            assert done.timings.llm_first_token == pytest.approx(mind_s * 1000, abs=1)
            assert done.timings.tts_first_audio == pytest.approx(mouth_s * 1000, abs=1)
            assert len(ears.heard) == 1, "the transcript is taken over, not made again"
            assert len(mind.asked) == 1
            assert robot.all(outputs.AssistantSaid)[0].text == REPLY

    run_virtual(main())


def test_nobody_is_told_before_the_end_and_then_all_in_order() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        mouth = ScriptedMouth(delay=0.01)
        mind = ScriptedMind([REPLY], first_seconds=0.01)
        ears = ScriptedTranscriber(["hello robot"], 0.01)
        async with a_session(
            ears=ears, mind=mind, mouth=mouth, house=AHEAD, memory=memory
        ) as robot:
            await robot.speak(np.concatenate((speech(800), silence(480))))
            assert mouth.said, "the reply has been spoken"
            assert [type(output) for _, output in robot.said] == [outputs.SpeechStarted]
            assert memory.history.snapshot() == ()
            await robot.speak(silence(100))
            await robot.until(outputs.ReplyAudio)
            kinds = [type(output).__name__ for _, output in robot.said]
            assert kinds[:6] == [
                "SpeechStarted", "SpeechStopped", "UserSaid", "ReplyStarted", "ClauseStarted",
                "ReplyAudio",
            ]  # fmt: skip
            stopped, heard = robot.time_of(outputs.SpeechStopped), robot.time_of(outputs.ReplyAudio)
            assert heard == stopped, "it goes out at once"

    run_virtual(main())


def test_the_sound_is_sent_no_further_ahead_than_ever() -> None:
    async def main() -> None:
        mind = ScriptedMind(["A long answer without any end to it, " * 8], first_seconds=0.01)
        house = replace(AHEAD, lead_ms=600)
        async with a_session(mind=mind, house=house) as robot:
            await robot.speak(said_once())
            first = robot.time_of(outputs.ReplyAudio)
            await robot.until(outputs.ReplyDone)
            sent = 0.0
            for time, output in robot.said:
                if isinstance(output, outputs.ReplyAudio):
                    sent += output.audio.seconds
                    assert sent <= time - first + 0.6 + 0.001

    run_virtual(main())


@pytest.mark.parametrize("pause_ms", [160, 300, 420, 470])
def test_a_user_who_goes_on_is_heard_whole_and_answered_once(pause_ms: int) -> None:
    async def main() -> None:
        counters = AheadCounters()
        ears = ScriptedTranscriber(["hello", "hello robot"], 0.05)
        mind = ScriptedMind([REPLY], first_seconds=0.05)
        memory = RobotMemory(History())
        async with a_session(
            ears=ears, mind=mind, house=AHEAD, memory=memory, ahead=counters
        ) as robot:
            await robot.speak(said_once((pause_ms,)))
            await robot.until(outputs.ReplyDone)
            assert [said.text for said in robot.all(outputs.UserSaid)] == ["hello robot"]
            assert len(robot.all(outputs.ReplyStarted)) == 1
            assert len(robot.all(outputs.SpeechStarted)) == 1
            # 300 ms before, 200 after, and all that lies between.
            whole = (800 + pause_ms + 640) * 16
            assert abs(ears.heard[-1] - whole) <= 600 * 16
            assert [m.content for m in memory.history.messages()] == ["hello robot", REPLY]
        assert (counters.started, counters.used) == (2, 1)
        assert counters.wasted_ms > 40

    run_virtual(main())


def test_a_pause_that_is_shorter_than_the_guess_costs_nothing() -> None:
    async def main() -> None:
        counters = AheadCounters()
        ears = ScriptedTranscriber(["hello robot"])
        async with a_session(ears=ears, house=AHEAD, ahead=counters) as robot:
            await robot.speak(said_once((90, 90)))
            await robot.until(outputs.ReplyDone)
        assert (counters.started, counters.used, counters.wasted_ms) == (1, 1, 0)
        assert len(ears.heard) == 1

    run_virtual(main())


def test_a_tool_is_called_when_the_turn_is_over_and_not_before() -> None:
    async def main() -> None:
        mind = ScriptedMind([[ToolCall("dance", "{}")]], first_seconds=0.01)
        ears = ScriptedTranscriber(["dance"], 0.01)
        async with a_session(ears=ears, mind=mind, house=AHEAD) as robot:
            await robot.speak(np.concatenate((speech(800), silence(300), speech(320))))
            assert mind.asked, "the model has made the call"
            assert not robot.all(outputs.ToolCalled)
            await robot.speak(silence(1_000))
            await robot.until(outputs.ReplyDone)
            assert len(robot.all(outputs.ToolCalled)) == 1
            called, stopped = (
                robot.time_of(kind) for kind in (outputs.ToolCalled, outputs.SpeechStopped)
            )
            assert called >= stopped

    run_virtual(main())


@pytest.mark.parametrize("error", [EngineBusy("busy"), EngineFailed("no"), EngineTimeout("late")])
@pytest.mark.parametrize("who", ["ears", "mind"])
def test_what_fails_ahead_is_done_again_in_its_time(who: str, error: Exception) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([error, "hello robot"] if who == "ears" else ["hello robot"])
        mind = ScriptedMind([error, REPLY] if who == "mind" else [REPLY])
        async with a_session(ears=ears, mind=mind, house=AHEAD) as robot:
            await robot.speak(said_once())
            done = await robot.until(outputs.ReplyDone)
            assert done.reason == "completed"
            assert robot.all(outputs.AssistantSaid)[0].text == REPLY
            assert not robot.all(outputs.Problem)

    run_virtual(main())


def test_a_guess_that_is_still_being_heard_at_the_end_may_fail_then() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([EngineFailed("no"), "hello robot"], 0.6)
        async with a_session(ears=ears, house=AHEAD) as robot:
            await robot.speak(said_once())
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"
            assert len(ears.heard) == 2

    run_virtual(main())


def test_an_answer_to_another_question_is_not_given() -> None:
    """The robot changes its session while its answer is being made."""

    async def main() -> None:
        mind = ScriptedMind(["The first.", "The second."], first_seconds=0.01)
        ears = ScriptedTranscriber(["hello robot"], 0.01)
        async with a_session(ears=ears, mind=mind, house=AHEAD) as robot:
            await robot.speak(np.concatenate((speech(800), silence(300))))
            assert len(mind.asked) == 1
            robot.session.configure({"instructions": "You are a pirate."})
            await robot.speak(silence(1_000))
            await robot.until(outputs.ReplyDone)
            assert robot.all(outputs.AssistantSaid)[0].text == "The second."
            assert mind.asked[1][0][0].content == "You are a pirate."

    run_virtual(main())


@pytest.mark.parametrize("after_ms", [100, 140, 200, 300, 420, 500, 560, 700])
@pytest.mark.parametrize("act", [cancel, clear, typed, end, hang_up, push_to_talk])
def test_whatever_happens_at_whatever_moment_nothing_is_left_over(
    act: Callable[[Robot], object], after_ms: int
) -> None:
    """The witness of `a_session` holds all that is said to the invariants, and no task is left."""

    async def main() -> None:
        mind = ScriptedMind([REPLY], first_seconds=0.1)
        ears = ScriptedTranscriber(["hello robot"], 0.1)
        async with a_session(ears=ears, mind=mind, house=AHEAD) as robot:
            await robot.speak(np.concatenate((speech(800), silence(after_ms))))
            await act(robot)  # type: ignore[misc]
            await robot.speak(silence(3_000))
            assert len(robot.all(outputs.UserSaid)) <= 1
            if act is end:
                assert len(ears.heard) == 1
                assert len(robot.all(outputs.AssistantSaid)) == 1

    run_virtual(main())


def test_engines_that_hang_ahead_hold_up_nobody_who_goes_on() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([Hang(), "hello robot"])
        async with a_session(ears=ears, house=AHEAD) as robot:
            await robot.speak(said_once((300,)))
            assert (await robot.until(outputs.ReplyDone)).reason == "completed"

    run_virtual(main())


def test_history_and_moods_of_earlier_turns_stand_in_the_prompt_as_without() -> None:
    async def asked(house: HouseRules) -> list[object]:
        mind = ScriptedMind([REPLY, "And again."])
        async with a_session(mind=mind, house=house) as robot:
            for turn in (1, 2):
                await robot.speak(said_once())
                await robot.until(outputs.ReplyDone, reply_id=turn)
                await asyncio.sleep(2)
        return list(mind.asked)

    ahead = run_virtual(asked(AHEAD))
    assert ahead == run_virtual(asked(replace(AHEAD, tentative_ms=0)))
    assert len(ahead) == 2


def test_a_picture_is_seen_by_an_answer_that_was_begun_ahead_and_one_more_begins_it_anew() -> None:
    async def main() -> None:
        mind = ScriptedMind([REPLY], first_seconds=0.01, sees=True)
        ears = ScriptedTranscriber(["what is that"], 0.01)
        async with a_session(ears=ears, mind=mind, house=AHEAD) as robot:
            robot.session.show(b"one")
            await robot.speak(np.concatenate((speech(800), silence(300))))
            assert mind.asked[0][0][-1].images == (b"one",)
            robot.session.show(b"two")
            await robot.speak(silence(1_000))
            await robot.until(outputs.ReplyDone)
            assert [asked[-1].images for asked, _ in mind.asked] == [(b"one",), (b"one", b"two")]

    run_virtual(main())
