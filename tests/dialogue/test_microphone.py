"""The microphone: frames of every sample, once, and the sound under its running numbers."""

from __future__ import annotations

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from brain.dialogue.events import Frame, Sound
from brain.dialogue.listener import Listener
from brain.dialogue.microphone import Microphone
from brain.dialogue.state import FRAME
from tests.dialogue.house import silence, speech
from tests.scripted_engines import ScriptedDetector


def frames(microphone: Microphone, *, judge: bool = True) -> list[Frame | Sound]:
    async def all_of_them() -> list[Frame | Sound]:
        found = []
        while (frame := await microphone.next_frame(threshold=0.5, judge=judge)) is not None:
            found.append(frame)
        return found

    return asyncio.run(all_of_them())


@given(st.lists(st.integers(1, 3_000), max_size=30))
@settings(deadline=None)
def test_every_sample_is_in_one_frame_however_it_comes(sizes: list[int]) -> None:
    microphone = Microphone(Listener(ScriptedDetector()), keep=200_000)
    sound = (np.arange(sum(sizes)) % 30_000).astype(np.int16)
    found: list[Frame | Sound] = []
    for piece in np.split(sound, np.cumsum(sizes)[:-1]) if sizes else []:
        microphone.push(piece)
        found += frames(microphone)
    assert [frame.end for frame in found] == list(range(FRAME, len(sound) + 1, FRAME))
    end = found[-1].end if found else 0
    assert (np.rint(microphone.take(0, end) * 32768) == sound[:end]).all()


def test_old_sound_is_let_go() -> None:
    microphone = Microphone(Listener(ScriptedDetector()), keep=16_000)
    for _ in range(100):
        microphone.push(speech(100))
        frames(microphone)
    assert len(microphone.take(0, microphone.end)) < 16_000 + 2 * 1_600
    assert len(microphone.take(microphone.end - 8_000, microphone.end)) == 8_000


def test_a_deaf_ear_asks_no_detector() -> None:
    detector = ScriptedDetector()
    microphone = Microphone(Listener(detector), keep=16_000)
    microphone.push(speech(320))
    assert all(isinstance(frame, Sound) for frame in frames(microphone, judge=False))
    assert detector.calls == 0


def test_a_change_of_rate_loses_nothing() -> None:
    microphone = Microphone(Listener(ScriptedDetector()), keep=200_000)
    microphone.push(silence(1_000))
    microphone.set_rate(48_000)
    microphone.push(np.zeros(48_000, np.int16))
    microphone.set_rate(8_000)
    microphone.push(np.zeros(8_000, np.int16))
    microphone.set_rate(16_000)
    frames(microphone)
    assert abs(microphone.end - 48_000) <= FRAME
