"""A paced speaker knows what a player that it can't see has played, and stays ahead of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_tests.sine import sine
from robot_client.pcm import to_pcm
from robot_client.playback import MARK_MS, Mark
from robot_client.reachy.paced_speaker import PacedSpeaker

RATE = 24_000
FRAME = RATE // 50
LEAD_MS = 60
MS = 1000  # microseconds
PUSH, WAIT, NAP, END, FLUSH, RESET = "push", "wait", "nap", "end", "flush", "reset"


def due(speaker: PacedSpeaker) -> list[np.ndarray]:
    """All frames whose time has come."""
    frames = []
    while (frame := speaker.take()) is not None:
        frames.append(frame)
    return frames


@dataclass
class Player:
    """What really happens: it plays what it has, one sample after the other, and then silence.

    Times are whole microseconds, and samples are counted in 1/RATE s, so that nothing is rounded.
    """

    sounds: list[tuple[int, np.ndarray]] = field(default_factory=list)  # (begins at, samples)
    ends: int = 0  # both in microseconds * RATE

    def give(self, sound: np.ndarray, at_us: int) -> None:
        begins = max(self.ends, at_us * RATE)
        self.sounds.append((begins, sound))
        self.ends = begins + len(sound) * 1_000_000

    def clear(self, at_us: int) -> None:
        self.sounds = [
            (begins, sound[: self._past(begins, at_us)]) for begins, sound in self.sounds
        ]
        self.ends = min(self.ends, at_us * RATE)

    def heard(self, at_us: int) -> np.ndarray:
        pieces = [sound[: self._past(begins, at_us)] for begins, sound in self.sounds]
        return np.concatenate([np.zeros(0, np.int16), *pieces])

    def backlog(self, at_us: int) -> int:
        return sum(len(sound) for _begins, sound in self.sounds) - len(self.heard(at_us))

    @staticmethod
    def _past(begins: int, at_us: int) -> int:
        return max(0, (at_us * RATE - begins) // 1_000_000)


class Scene:
    """A speaker and its player on a clock of their own. Samples say whose they are."""

    def __init__(self, handover_us: int = 0) -> None:
        self.now_us = 5_000_000
        self.marks: list[Mark] = []
        self.handed: list[np.ndarray] = []
        self.player = Player()
        self.speaker = PacedSpeaker(
            RATE, self.marks.append, lead_ms=LEAD_MS, clock=lambda: self.now_us / 1e6
        )
        self._handover_us = handover_us

    def push(self, reply: int, samples: int) -> None:
        self.speaker.push(reply, np.full(samples, reply, np.int16), RATE)

    def poll(self) -> list[np.ndarray]:
        """As the app does: take until there is nothing, and give it to the player."""
        frames = due(self.speaker)
        for frame in frames:
            self.player.give(frame, self.now_us + self._handover_us)
        self.handed += frames
        return frames

    def wait(self, microseconds: int) -> list[np.ndarray]:
        self.now_us += microseconds
        return self.poll()

    def play_out(self) -> None:
        """As a caller that keeps to `wait_s`, and calls every 100 ms in any case."""
        while not self.speaker.empty:
            wait = self.speaker.wait_s()
            frames = self.wait(100 * MS if wait is None else min(100 * MS, int(wait * 1e6) + 1))
            assert frames or wait is None or wait > 0.1

    def heard(self, reply: int) -> int:
        return int(np.count_nonzero(self.player.heard(self.now_us) == reply))

    def last_mark(self, reply: int) -> int:
        return max((mark.ms for mark in self.marks if mark.reply_id == reply), default=0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(PUSH), st.integers(1, RATE)),
        st.tuples(st.just(WAIT), st.integers(0, 120 * MS)),
        st.tuples(st.just(NAP), st.integers(0, 30 * MS)),  # time passes between the calls
        st.tuples(st.sampled_from([END, FLUSH, WAIT]), st.just(20 * MS)),
    ),
    max_size=80,
)


def exact(mark: Mark, heard: int) -> bool:
    """A sample that ends just as the clock is read counts or doesn't."""
    return heard * 1000 // RATE <= mark.ms <= (heard + 1) * 1000 // RATE


@settings(deadline=None)
@given(steps=STEPS)
def test_marks_are_what_was_heard_whatever_comes_when(steps: list[tuple[str, int]]) -> None:
    scene, reply, pushed = Scene(), 1, dict.fromkeys(range(1, 100), 0)
    dropped_samples, came_at = 0, 0
    for step, value in steps:
        marks_before = len(scene.marks)
        if step == PUSH:
            scene.push(reply, value)
            pushed[reply] += value
            came_at = scene.now_us
        elif step == NAP:
            scene.now_us += value
        elif step == WAIT:
            scene.now_us += value
            before = scene.player.backlog(scene.now_us)
            frames = scene.poll()
            backlog = scene.player.backlog(scene.now_us)
            # A backlog counts the sample that is being played just now as a whole.
            assert backlog <= max(LEAD_MS * RATE // 1000, before) + 1
            assert all(len(frame) == FRAME for frame in frames[:-1])
            unheard = sum(pushed.values()) - len(scene.player.heard(scene.now_us)) - dropped_samples
            if unheard - backlog >= FRAME:
                assert backlog > (LEAD_MS - 20) * RATE // 1000 - 1  # all that may be out is
            elif unheard - backlog:
                assert backlog > FRAME - 1 or scene.now_us - came_at < 20 * MS
            assert scene.speaker.queued_ms == pytest.approx(unheard * 1000 / RATE, abs=0.1)
            assert scene.heard(reply) * 1000 // RATE - scene.last_mark(reply) < MARK_MS
        elif step == END:
            scene.speaker.end(reply)
            reply += 1
        else:
            heard = scene.heard(reply)
            lost = sum(pushed.values()) - len(scene.player.heard(scene.now_us)) - dropped_samples
            dropped = scene.speaker.flush()
            assert dropped in (lost * 1000 // RATE, (lost - 1) * 1000 // RATE)
            dropped_samples += lost
            scene.player.clear(scene.now_us)
            if pushed[reply]:
                assert exact(scene.marks[-1], heard)
                scene.push(reply, RATE)  # late sound of what was cut
            assert scene.speaker.empty
            assert scene.speaker.wait_s() is None
            assert not scene.poll()
            reply += 1
        for mark in scene.marks[marks_before:]:
            assert exact(mark, scene.heard(mark.reply_id))
    scene.speaker.end(reply)
    scene.play_out()
    played = scene.player.heard(scene.now_us)
    assert len(played) == sum(pushed.values()) - dropped_samples
    assert np.all(np.diff(played) >= 0)  # in order
    for known, count in pushed.items():
        of_it = [mark.ms for mark in scene.marks if mark.reply_id == known]
        assert of_it == sorted(of_it)
        if count >= RATE // 1000:
            assert of_it[-1] == scene.heard(known) * 1000 // RATE


@settings(deadline=None)
@given(
    handover=st.integers(0, 15 * MS),
    steps=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 90 * MS)), max_size=60),
)
def test_a_player_that_gets_its_frames_late_is_marked_to_a_frame(
    handover: int, steps: list[tuple[int, int]]
) -> None:
    scene = Scene(handover)
    for samples, wait in steps:
        if samples:
            scene.push(1, samples)
        before = len(scene.marks)
        scene.wait(wait)
        for mark in scene.marks[before:]:
            assert 0 <= mark.ms - scene.heard(1) * 1000 // RATE <= handover / MS + 1


def test_a_reply_takes_as_long_as_it_lasts() -> None:
    scene = Scene()
    scene.push(1, RATE * 3)
    began = scene.now_us
    assert [len(frame) for frame in scene.poll()] == [FRAME] * 3  # the lead, and no more
    scene.play_out()
    assert len(np.concatenate(scene.handed)) == RATE * 3
    assert scene.player.ends // RATE - began == 3_000_000
    gaps = [b - (a + len(s) * 1_000_000)
            for (a, s), (b, _s) in itertools.pairwise(scene.player.sounds)]  # fmt: skip
    assert set(gaps) == {0}
    assert scene.marks[-1] == Mark(1, 3000)
    assert max(np.diff([0, *(mark.ms for mark in scene.marks)])) <= MARK_MS + 100


def test_marks_come_every_200_ms_to_whom_asks_often_and_one_ends_the_reply() -> None:
    scene = Scene()
    scene.push(3, RATE // 2)
    scene.poll()
    for _ in range(480):
        scene.wait(MS)
    assert [mark.ms for mark in scene.marks] == [200, 400]
    assert len(np.concatenate(scene.handed)) == RATE // 2  # all of it is with the player
    assert scene.speaker.queued_ms == pytest.approx(20, abs=0.1)
    assert not scene.speaker.empty
    for _ in range(40):
        scene.wait(MS)
    assert [mark.ms for mark in scene.marks] == [200, 400, 500]
    assert scene.speaker.empty
    scene.speaker.end(3)
    scene.wait(MS)
    assert len(scene.marks) == 3


def test_a_late_call_gets_all_that_is_due_and_the_clock_begins_anew() -> None:
    scene = Scene()
    scene.push(1, RATE)
    scene.poll()
    scene.wait(160 * MS)  # the player has been silent for 100 ms
    assert scene.heard(1) == 3 * FRAME
    assert len(scene.handed) == 6
    scene.wait(60 * MS)
    assert scene.speaker.flush() == 1000 - 120
    assert scene.marks[-1] == Mark(1, 120)  # and not 220


def test_a_flush_takes_back_what_was_handed_out_and_not_heard() -> None:
    scene = Scene()
    scene.push(1, RATE)
    scene.poll()
    scene.now_us += 25 * MS
    assert scene.speaker.flush() == 975
    assert scene.marks == [Mark(1, 25)]
    scene.player.clear(scene.now_us)
    assert not scene.wait(0)
    scene.push(2, RATE)  # the next reply is in the player at once, and counts from there
    assert scene.wait(0)[0].tolist() == [2] * FRAME
    scene.now_us += 10 * MS
    scene.speaker.flush()
    assert scene.marks[-1] == Mark(2, 10)


def test_a_flush_before_anything_was_heard_says_so() -> None:
    scene = Scene()
    scene.push(1, RATE)
    assert scene.speaker.flush() == 1000
    assert scene.marks == [Mark(1, 0)]
    assert scene.speaker.flush() == 0
    assert len(scene.marks) == 1


def test_less_than_a_frame_waits_for_more_while_the_player_has_sound() -> None:
    scene = Scene()
    scene.push(1, 2 * FRAME + 100)
    assert [len(frame) for frame in scene.poll()] == [FRAME, FRAME]
    assert scene.speaker.wait_s() == pytest.approx(0.020, abs=0.001)
    scene.push(1, FRAME - 100)
    assert scene.speaker.wait_s() == 0
    assert [len(frame) for frame in scene.poll()] == [FRAME]
    scene.push(1, 100)
    scene.wait(39 * MS)
    assert len(scene.handed) == 3
    assert [len(frame) for frame in scene.wait(2 * MS)] == [100]  # rather short than silent


def test_little_sound_that_has_just_come_waits_for_more_as_long_as_a_frame_lasts() -> None:
    scene = Scene()
    scene.push(1, 100)
    assert not scene.poll()
    assert scene.speaker.wait_s() == pytest.approx(0.020)
    assert not scene.wait(15 * MS)
    scene.push(1, 100)
    assert not scene.wait(15 * MS)
    scene.push(1, FRAME - 200)  # a whole frame needn't wait
    assert [len(frame) for frame in scene.poll()] == [FRAME]
    scene.wait(50 * MS)
    scene.push(1, 100)
    assert not scene.wait(19 * MS)
    assert [len(frame) for frame in scene.wait(MS)] == [100]
    scene.wait(50 * MS)
    scene.push(1, 100)
    scene.speaker.end(1)  # then there is nothing to wait for
    assert [len(frame) for frame in scene.poll()] == [100]


def test_the_last_of_a_resampled_reply_does_not_wait_for_its_end() -> None:
    """The brain tells of a reply's end when a mark has told that all of it was heard."""
    marks: list[Mark] = []
    now = [0.0]
    speaker = PacedSpeaker(RATE, marks.append, clock=lambda: now[0])
    wave = to_pcm(sine(440, 16_000, 0.7).astype(np.float32))
    for start in range(0, len(wave), 640):
        speaker.push(1, wave[start : start + 640], 16_000)
    frames = []
    while now[0] < 0.75:
        frames += due(speaker)
        now[0] += min(0.1, speaker.wait_s() or 0.01)
    assert marks[-1] == Mark(1, 700)
    assert speaker.empty
    out = np.concatenate(frames)
    assert len(out) == RATE * 7 // 10
    error = out[1_000:-1_000] / 32768 - sine(440, RATE, 0.7)[1_000:-1_000]
    assert np.sqrt(np.mean(error**2)) < 1e-4


def test_a_new_session_may_number_its_replies_anew_and_follows_what_is_playing() -> None:
    scene = Scene()
    scene.push(9, RATE)
    scene.poll()
    scene.now_us += 20 * MS
    scene.speaker.reset()
    assert scene.speaker.empty
    scene.push(1, RATE)
    assert len(scene.poll()) == 1  # 40 ms of reply 9 are still with the player
    assert scene.heard(1) == 0
    scene.wait(50 * MS)
    scene.speaker.flush()
    assert scene.marks == [Mark(1, 10)]
    assert scene.heard(1) == RATE // 100


def test_a_brain_that_does_not_number_its_replies_is_heard_after_a_flush() -> None:
    scene = Scene()
    scene.push(0, RATE)
    scene.poll()
    scene.speaker.flush()
    scene.push(0, FRAME)
    assert len(scene.wait(0)) == 1


def test_a_lead_that_holds_no_frame_is_refused_and_one_that_holds_one_plays() -> None:
    with pytest.raises(ValueError, match="19 ms"):
        PacedSpeaker(RATE, lambda _mark: None, lead_ms=19)
    now = [0.0]
    speaker = PacedSpeaker(RATE, lambda _mark: None, lead_ms=20, clock=lambda: now[0])
    speaker.push(1, np.ones(1000, np.int16), RATE)
    lengths = []
    for _ in range(6):
        lengths.append([len(frame) for frame in due(speaker)])
        now[0] += 0.01
    assert lengths == [[480], [], [480], [], [40], []]
