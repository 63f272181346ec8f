"""When a turn ends with `ENDPOINTING=adaptive`: the whole actor, to the millisecond."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from brain.dialogue import events, outputs
from brain.dialogue.config import HouseRules
from brain.dialogue.ears import Understood
from brain.dialogue.endpointing import Endpointing
from brain.dialogue.history import History
from brain.dialogue.memory import RobotMemory
from brain.dialogue.state import samples
from brain.engines.ports import EngineBusy, EngineFailed, EngineUnavailable
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import Hang, ScriptedEndOfTurn, ScriptedMind, ScriptedTranscriber
from tests.virtual_time import run_virtual

# Silence is judged in frames of 32 ms: looked at after 128 ms, the fixed 500 are over at 512, the
# shortest 300 at 320, the longest 1200 at 1216.
ADAPTIVE = HouseRules(tentative_ms=128, endpointing=Endpointing(samples(300), samples(1_200)))
WHOLE, OPEN, UNCLEAR = "What time is it?", "What is the", "I had a bad day."
SHORT, FIXED, LONG = 320, 512, 1_216


def ended_after(
    text: str | Exception | Hang,
    house: HouseRules = ADAPTIVE,
    *,
    ears_s: float = 0.05,
    model: ScriptedEndOfTurn | None = None,
    silence_ms: int | None = None,
    language: str | None = "en",
) -> float:
    """ms from the last sample of speech to the end of the turn."""

    async def main() -> float:
        ears = ScriptedTranscriber([text, "hello"] if not isinstance(text, str) else [text], ears_s)
        async with a_session(ears=ears, house=house, end_of_turn=model) as robot:
            robot.session.configure({"language": language})
            if silence_ms is not None:
                robot.session.configure({"turn_detection": {"silence_ms": silence_ms}})
            await robot.speak(speech(800), chunk_ms=32)
            end = asyncio.get_running_loop().time()
            await robot.speak(silence(2_500), chunk_ms=32)
            await robot.until(outputs.SpeechStopped)
            assert len(robot.all(outputs.SpeechStopped)) == 1
            return round((robot.time_of(outputs.SpeechStopped) - end + 0.032) * 1_000, 3)

    return run_virtual(main())


@pytest.mark.parametrize(
    ("text", "ears_s", "after_ms"),
    [
        (WHOLE, 0.05, SHORT),
        (UNCLEAR, 0.05, FIXED),
        (OPEN, 0.05, LONG),
        ("", 0.05, FIXED),
        # What comes late counts from then on.
        (WHOLE, 0.25, 384),
        (WHOLE, 0.37, FIXED),
        (OPEN, 0.37, LONG),
        # What has not come when the fixed silence is over comes too late.
        (OPEN, 0.39, FIXED),
        (WHOLE, 0.39, FIXED),
        (EngineFailed("no"), 0.05, FIXED),
        (EngineBusy("busy"), 0.05, FIXED),
    ],
)
def test_what_was_said_decides(text: str | Exception, ears_s: float, after_ms: int) -> None:
    assert ended_after(text, ears_s=ears_s) == pytest.approx(after_ms, abs=1)


@pytest.mark.parametrize("text", [WHOLE, OPEN, UNCLEAR])
def test_fixed_is_fixed(text: str) -> None:
    assert ended_after(text, replace(ADAPTIVE, endpointing=None)) == pytest.approx(FIXED, abs=1)


@pytest.mark.parametrize(
    ("text", "silence_ms", "after_ms"),
    [
        (WHOLE, 200, 224),
        (UNCLEAR, 200, 224),
        (OPEN, 200, LONG),
        (WHOLE, 1_000, SHORT),
        (UNCLEAR, 1_000, 1_024),
        (OPEN, 1_500, 1_504),
    ],
)
def test_a_robots_own_silence_is_the_base(text: str, silence_ms: int, after_ms: int) -> None:
    assert ended_after(text, silence_ms=silence_ms) == pytest.approx(after_ms, abs=1)


def test_in_another_language_the_fixed_silence_holds() -> None:
    assert ended_after(OPEN, language="de") == pytest.approx(FIXED, abs=1)
    assert ended_after("Wie spät ist es?", language="de") == pytest.approx(SHORT, abs=1)


@pytest.mark.parametrize(
    ("text", "says", "model_s", "after_ms"),
    [
        (UNCLEAR, 0.9, 0.03, SHORT),
        (UNCLEAR, 0.5, 0.03, FIXED),
        (UNCLEAR, 0.1, 0.03, LONG),
        (WHOLE, 0.1, 0.03, FIXED),
        (OPEN, 0.9, 0.03, LONG),
        (OPEN, 0.1, 0.03, LONG),
        # Nothing is made shorter before the model was heard, and longer at once.
        (WHOLE, 0.9, 0.28, 416),
        (OPEN, 0.5, 0.6, LONG),
        (WHOLE, 0.1, 0.6, FIXED),
        # Whatever becomes of it, the words are there.
        (WHOLE, EngineFailed("no"), 0.03, SHORT),
        (OPEN, EngineUnavailable("no"), 0.03, LONG),
        (WHOLE, ValueError("a fault of ours"), 0.03, SHORT),
        (WHOLE, Hang(), 0.03, FIXED),
        # It may be there before the words are.
        (EngineFailed("no"), 0.9, 0.03, SHORT),
        (Hang(), 0.1, 0.03, LONG),
    ],
)
def test_a_model_of_the_end_of_turns_has_its_say(
    text: str | Exception | Hang,
    says: float | Exception | Hang,
    model_s: float,
    after_ms: int,
) -> None:
    model = ScriptedEndOfTurn([says], model_s)
    assert ended_after(text, model=model) == pytest.approx(after_ms, abs=1)
    assert len(model.heard) == 1
    # All that was said, and the silence so far.
    assert model.heard[0] == (800 + 128) * 16


def test_a_model_is_asked_for_nothing_where_the_silence_is_fixed() -> None:
    model = ScriptedEndOfTurn([0.9])
    ended_after(WHOLE, replace(ADAPTIVE, endpointing=None), model=model)
    assert model.heard == []


async def said(robot: Robot, *parts_ms: int, then_ms: int = 2_500) -> None:
    """Speech and pauses, in turn."""
    sounds = [silence(ms) if index % 2 else speech(ms) for index, ms in enumerate(parts_ms)]
    await robot.speak(np.concatenate((*sounds, silence(then_ms))), chunk_ms=32)


def test_who_goes_on_is_judged_anew_at_the_next_pause() -> None:
    """A pause after which the turn was almost over says nothing of the next one."""

    async def main() -> None:
        ears = ScriptedTranscriber([OPEN, "What is the time?"], 0.05)
        async with a_session(ears=ears, house=ADAPTIVE) as robot:
            await said(robot, 800, 992, 640)
            done = await robot.until(outputs.ReplyDone)
            assert done.timings.endpoint == pytest.approx(SHORT, abs=1)
            assert [said.text for said in robot.all(outputs.UserSaid)] == ["What is the time?"]
        ears = ScriptedTranscriber([WHOLE, "What time is it and"], 0.05)
        async with a_session(ears=ears, house=ADAPTIVE) as robot:
            await said(robot, 800, 288, 640)
            done = await robot.until(outputs.ReplyDone)
            assert done.timings.endpoint == pytest.approx(LONG, abs=1)

    run_virtual(main())


def test_the_second_pause_is_fixed_until_its_words_have_come() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([OPEN, Hang(), "never mind"], 0.05)
        async with a_session(ears=ears, house=ADAPTIVE) as robot:
            await said(robot, 800, 992, 640, then_ms=900)
            assert len(robot.all(outputs.SpeechStopped)) == 1

    run_virtual(main())


def test_a_robot_that_changes_its_silence_in_a_pause_has_what_it_asked_for() -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([OPEN], 0.05)
        async with a_session(ears=ears, house=ADAPTIVE) as robot:
            await said(robot, 800, then_ms=320)
            robot.session.configure({"turn_detection": {"silence_ms": 700}})
            end = asyncio.get_running_loop().time()
            await robot.speak(silence(1_500), chunk_ms=32)
            stopped = robot.time_of(outputs.SpeechStopped)
            assert (stopped - end + 0.032) * 1_000 + 320 == pytest.approx(704, abs=1)

    run_virtual(main())


def test_a_robot_that_stops_sending_is_waited_for_no_longer_than_ever() -> None:
    async def main() -> None:
        async with a_session(ears=ScriptedTranscriber([OPEN], 0.05), house=ADAPTIVE) as robot:
            await said(robot, 800, then_ms=320)
            end = asyncio.get_running_loop().time()
            await robot.until(outputs.SpeechStopped)
            assert robot.time_of(outputs.SpeechStopped) - end < 1.01

    run_virtual(main())


@pytest.mark.parametrize("text", [WHOLE, OPEN])
def test_push_to_talk_ends_when_the_robot_says_so(text: str) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber([text], 0.05)
        memory = RobotMemory(History())
        async with a_session(ears=ears, house=ADAPTIVE, memory=memory) as robot:
            robot.session.configure({"turn_detection": None})
            await said(robot, 800, 300, 800, then_ms=900)
            assert not robot.all(outputs.SpeechStopped)
            robot.session.post(events.EndUtterance())
            await robot.until(outputs.ReplyDone)
            assert len(ears.heard) == 1

    run_virtual(main())


def test_a_user_who_pauses_long_is_waited_for_and_others_are_not() -> None:
    """The pauses are seen in words that trail off, and then waited for everywhere."""

    async def endpoint(memory: RobotMemory, texts: Sequence[str], *parts_ms: int) -> float:
        async with a_session(
            ears=ScriptedTranscriber(texts, 0.05), house=ADAPTIVE, memory=memory
        ) as robot:
            await said(robot, *parts_ms)
            done = await robot.until(outputs.ReplyDone)
            assert len(robot.all(outputs.SpeechStopped)) == 1
            assert done.timings.endpoint is not None
            return done.timings.endpoint

    async def main() -> None:
        slow, quick = RobotMemory(History()), RobotMemory(History())
        for turn in range(1, 6):
            slowly = await endpoint(slow, [OPEN, WHOLE], 800, 640, 640)
            assert slowly == pytest.approx(SHORT if turn < 5 else 768, abs=1)
            assert await endpoint(quick, [WHOLE], 800) == pytest.approx(SHORT, abs=1)
        # 640 ms of it, a margin of 100, to the next frame.
        assert await endpoint(slow, [WHOLE], 800) == pytest.approx(768, abs=1)
        assert await endpoint(slow, [UNCLEAR], 800) == pytest.approx(768, abs=1)
        assert await endpoint(quick, [WHOLE], 800) == pytest.approx(SHORT, abs=1)

    run_virtual(main())


def test_a_user_who_is_cut_off_time_and_again_is_waited_for() -> None:
    """After words that seemed whole, where no pause can be seen inside a turn."""

    async def main() -> None:
        memory = RobotMemory(History())
        house = replace(ADAPTIVE, echo="none")
        ears = ScriptedTranscriber([WHOLE], 0.05)
        async with a_session(ears=ears, house=house, memory=memory) as robot:
            for _ in range(3):
                await said(robot, 800, 608, 640, then_ms=6_000)
            cut = len(robot.all(outputs.SpeechStopped))
            assert cut == 6
            assert memory.pauses.habit == pytest.approx(samples(608), abs=512)
            await said(robot, 800, 608, 640, then_ms=6_000)
            assert len(robot.all(outputs.SpeechStopped)) == cut + 1

    run_virtual(main())


def test_another_speaker_has_other_habits() -> None:
    async def main() -> None:
        memory = RobotMemory(History())
        for turn in range(1, 8):
            memory.pauses.paused(turn, samples(700))
        async with a_session(house=ADAPTIVE, memory=memory) as robot:
            robot.session.configure({"speaker": ""})
            robot.session.configure({"instructions": "Be brief."})
            await robot.speak(silence(100))
            assert memory.pauses.habit == samples(700)
            robot.session.configure({"speaker": "Anna"})
            await robot.speak(silence(100))
            assert memory.pauses.habit == 0

    run_virtual(main())


def test_a_robot_that_sends_only_speech_is_not_taken_to_pause() -> None:
    """No sound counts the time between its turns."""

    async def main() -> None:
        memory = RobotMemory(History())
        async with a_session(house=replace(ADAPTIVE, echo="none"), memory=memory) as robot:
            for _ in range(7):
                await robot.speak(np.concatenate((speech(800), silence(100))), chunk_ms=20)
                await asyncio.sleep(8)
            assert len(robot.all(outputs.SpeechStopped)) == 7
            assert memory.pauses.habit == 0

    run_virtual(main())


@pytest.mark.parametrize(
    ("text", "model", "after_ms"),
    [
        ("Okay, what time is it?", None, SHORT),
        ("Okay, I had a bad day.", None, FIXED),
        ("Okay, and what is the", None, LONG),
        ("Okay, I had a bad day.", 0.9, SHORT),
    ],
)
def test_an_interruption_that_was_heard_before_it_was_a_turn_ends_so_too(
    text: str, model: float | None, after_ms: int
) -> None:
    async def main() -> None:
        house = replace(ADAPTIVE, echo="none")
        ears = ScriptedTranscriber(["ok", text], 0.05)  # in its midst it sounds like a back-channel
        listens = ScriptedEndOfTurn([model], 0.03) if model is not None else None
        mind = ScriptedMind(["one two three four five six seven eight nine ten " * 2, "Yes?"])
        async with a_session(ears=ears, mind=mind, house=house, end_of_turn=listens) as robot:
            robot.session.post(events.Typed("count"))
            await robot.until(outputs.ReplyAudio)
            await robot.speak(np.concatenate((silence(512), speech(448))), chunk_ms=32)
            end = asyncio.get_running_loop().time()
            await robot.speak(silence(2_500), chunk_ms=32)
            await robot.until(outputs.SpeechStopped)
            after = round((robot.time_of(outputs.SpeechStopped) - end + 0.032) * 1_000, 3)
            assert after == pytest.approx(after_ms, abs=1)
            assert len(ears.heard) == 2, "its transcript is taken over"

    run_virtual(main())


def test_what_was_overheard_too_late_has_no_say() -> None:
    """It has become an interruption meanwhile, and goes on with other words."""

    async def main() -> None:
        ears = ScriptedTranscriber([EngineFailed("no"), "hello"], 0.05)
        async with a_session(ears=ears, house=replace(ADAPTIVE, echo="none")) as robot:
            await robot.speak(np.concatenate((speech(800), silence(128))), chunk_ms=32)
            late = events.Overheard(1, WHOLE, "words")
            robot.session._inbox.put_nowait(Understood(late, 50.0))
            end = asyncio.get_running_loop().time() - 0.128
            await robot.speak(silence(1_000), chunk_ms=32)
            after = (robot.time_of(outputs.SpeechStopped) - end + 0.032) * 1_000
            assert after == pytest.approx(FIXED, abs=1)

    run_virtual(main())
