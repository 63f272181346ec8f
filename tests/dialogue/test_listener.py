"""Robots that are listened to together hear what each of them would have heard alone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from brain.dialogue import events, outputs
from brain.dialogue.events import Frame, Sound
from brain.dialogue.listener import Listener
from brain.dialogue.lull import Lull
from brain.dialogue.microphone import Microphone
from brain.engines.ports import EngineFailed
from tests.dialogue.house import Robot, a_session, silence, speech
from tests.scripted_engines import ScriptedDetector, ScriptedTranscriber
from tests.virtual_time import run_virtual

FRAME = 512
MANY = 6


class RememberingDetector(ScriptedDetector):
    """Scripted: what it says of a frame depends on all that its stream has heard before.

    `batches` are the numbers of frames that it was asked for; frames louder than 0.9 it refuses.
    """

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def new_stream(self) -> Any:
        return Memory()

    def probabilities(
        self, streams: Sequence[Any], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        assert len({id(stream) for stream in streams}) == len(streams) == len(frames)
        self.batches.append(len(frames))
        if np.abs(frames).max() > 0.9:
            raise EngineFailed("scripted failure")
        for stream, frame in zip(streams, frames, strict=True):
            stream.heard = (stream.heard * 31 + int(1000 * np.abs(frame).sum())) % 997
        return np.array([stream.heard / 997 for stream in streams], np.float32)


class TimedDetector(ScriptedDetector):
    """Scripted; `asked_at` has the time of each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_at: list[float] = []

    def probabilities(
        self, streams: Sequence[Any], frames: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        self.asked_at += [asyncio.get_running_loop().time()] * len(frames)
        return super().probabilities(streams, frames)


class Memory:
    heard = 0

    def reset(self) -> None:
        self.heard = 0


def sounds(seed: int, pieces: int) -> list[NDArray[np.int16]]:
    made = np.random.default_rng(seed)
    return [
        made.integers(-9_000, 9_000, made.integers(1, 1_500)).astype(np.int16)
        for _ in range(pieces)
    ]


async def judged(listener: Listener, pieces: list[NDArray[np.int16]]) -> list[Frame | Sound]:
    """What a microphone makes of them, with a breath between."""
    microphone = Microphone(listener, keep=1_000)
    listener.join()
    found = []
    for piece in pieces:
        microphone.push(piece)
        while (frame := await microphone.next_frame(threshold=0.5, judge=True)) is not None:
            found.append(frame)
        await asyncio.sleep(0)
    listener.leave()
    return found


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12))
@settings(deadline=None, max_examples=50)
def test_together_each_is_judged_as_alone(pieces: list[int]) -> None:
    robots = [sounds(seed, count) for seed, count in enumerate(pieces)]

    async def together() -> list[list[Frame | Sound]]:
        listener = Listener(RememberingDetector())
        return await asyncio.gather(*(judged(listener, sound) for sound in robots))

    async def alone(sound: list[NDArray[np.int16]]) -> list[Frame | Sound]:
        return await judged(Listener(RememberingDetector()), sound)

    assert run_virtual(together()) == [run_virtual(alone(sound)) for sound in robots]


def test_many_are_asked_for_at_once_and_few_are_not_kept_waiting() -> None:
    async def batches(robots: int) -> list[int]:
        detector = RememberingDetector()
        listener = Listener(detector)
        sound = [silence(32) for _ in range(5)]
        await asyncio.gather(*(judged(listener, sound) for _ in range(robots)))
        return detector.batches

    assert run_virtual(batches(2)) == [1] * 10
    together = run_virtual(batches(MANY))
    assert sum(together) == 5 * MANY
    assert max(together) == MANY


def test_what_cannot_be_judged_costs_nobody_else_a_frame() -> None:
    async def main() -> list[Any]:
        listener = Listener(RememberingDetector())
        loud = np.full(FRAME, 32_000, np.int16)
        good = [judged(listener, sounds(seed, 6)) for seed in range(MANY)]
        bad = judged(listener, [loud])
        return await asyncio.gather(*good, bad, return_exceptions=True)

    async def alone(seed: int) -> list[Frame | Sound]:
        return await judged(Listener(RememberingDetector()), sounds(seed, 6))

    *good, bad = run_virtual(main())
    assert isinstance(bad, EngineFailed)
    assert good == [run_virtual(alone(seed)) for seed in range(MANY)]


def test_one_that_is_gone_is_not_asked_for() -> None:
    async def main() -> list[int]:
        detector = RememberingDetector()
        listener = Listener(detector)
        for _ in range(MANY):
            listener.join()
        frame = np.zeros(FRAME, np.float32)
        asking = [
            asyncio.ensure_future(listener.probability(listener.new_stream(), frame))
            for _ in range(3)
        ]
        await asyncio.sleep(0)
        asking[1].cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        return detector.batches

    assert run_virtual(main()) == [2]


@pytest.mark.parametrize("robots", [1, MANY])
@pytest.mark.parametrize("chunk_ms", [1, 7, 20, 100])
def test_a_turn_is_the_same_among_many_at_most_a_tick_later(robots: int, chunk_ms: int) -> None:
    """However the sound is cut; and a robot alone waits for nobody."""

    async def main() -> list[tuple[float, float]]:
        detector = ScriptedDetector()
        listener = Listener(detector)
        async with AsyncExitStack() as stack:
            all_of_them = [
                await stack.enter_async_context(
                    a_session(listener=listener, mute=True, alone=robots == 1)
                )
                for _ in range(robots)
            ]
            await asyncio.gather(*(turn(robot, chunk_ms) for robot in all_of_them))
            return [
                (robot.time_of(outputs.SpeechStarted), robot.time_of(outputs.SpeechStopped))
                for robot in all_of_them
            ]

    async def turn(robot: Robot, chunk_ms: int) -> None:
        sound = np.concatenate((silence(320), speech(640), silence(1_000)))
        await robot.speak(sound, chunk_ms=chunk_ms)

    # The frames that decide it end at 320 + 3 x 32 ms and, of the silence, at 960 + 16 x 32 ms; a
    # chunk comes when it begins, here.
    begins = [int(at / chunk_ms - 1e-9) * chunk_ms / 1000 for at in (416, 1_472)]
    late = 0.0 if robots == 1 else 0.016
    for found in run_virtual(main()):
        for at, expected in zip(found, begins, strict=True):
            assert expected - 1e-6 <= at <= expected + late + 1e-6


@pytest.mark.parametrize("noise", [0, 20, 300])
def test_frames_of_silence_are_looked_at_together_and_the_first_sound_at_once(noise: int) -> None:
    """Whatever silence sounds like, once it is known."""
    made = np.random.default_rng(0)

    async def main() -> None:
        detector = TimedDetector()
        async with a_session(detector=detector, mute=True) as robot:
            room = made.integers(-noise, noise + 1, 4_096 * 16).astype(np.int16)
            await robot.speak(room, chunk_ms=20)
            looks = sorted(set(detector.asked_at))
            late = [b - a for a, b in itertools.pairwise(looks) if a > 1.5]
            assert 124 <= len(detector.asked_at) <= 128, "each frame is judged"
            assert late == pytest.approx([0.128] * len(late), abs=0.021)
            began = asyncio.get_running_loop().time()
            await robot.speak(speech(320), chunk_ms=20)
            started = robot.time_of(outputs.SpeechStarted) - began
            assert started <= 0.128, "as if each frame had been looked at"

    run_virtual(main())


def test_a_sound_before_speech_is_not_learnt_as_silence() -> None:
    lull = Lull()
    lull.was_silence(speech(32))  # the detector isn't sure of it yet
    assert not lull.goes_on(speech(20))
    for _ in range(40):
        lull.was_silence(speech(32))  # a hum
    assert lull.goes_on(speech(20))
    for _ in range(60):
        lull.was_silence(silence(32))
    assert not lull.goes_on(speech(20))


def test_what_is_held_back_comes_before_what_the_robot_does_next() -> None:
    """Less than a frame of sound waits for more; not so long that a message overtakes it."""

    async def heard(chunks: list[int]) -> list[int]:
        ears = ScriptedTranscriber(["hello robot"], seconds=0.0)
        async with a_session(ears=ears, mute=True) as robot:
            session = robot.session
            session.configure({"turn_detection": None})
            await asyncio.sleep(0.1)
            for size in chunks:
                session.hear(speech(1_000)[:size])
                await asyncio.sleep(0.02)
            # The rate changes for the sound that comes after it, and for no other.
            session.configure({"input_sample_rate": 8_000})
            session.hear(speech(1_000)[:800])
            session.post(events.EndUtterance())
            await robot.until(outputs.UserSaid)
        return ears.heard

    whole = run_virtual(heard([1_000]))
    assert run_virtual(heard([400, 300, 300])) == whole
    assert run_virtual(heard([1] * 1_000)) == whole
