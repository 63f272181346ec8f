"""Playback marks say neither more nor less than what the device was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_client.pacing import every_frame
from robot_client.playback import MARK_MS, Mark, Playback

RATE = 16_000
PUSH, PULL, END, FLUSH = "push", "pull", "end", "flush"


def sound(reply_id: int, count: int) -> np.ndarray:
    """Samples that say whose they are."""
    return np.full(count, reply_id, np.int16)


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just(PUSH), st.integers(1, 5000)),
            st.tuples(st.just(PULL), st.integers(1, 2000)),
            st.tuples(st.sampled_from([END, FLUSH]), st.just(0)),
        ),
        max_size=60,
    )
)
def test_marks_are_exact(steps: list[tuple[str, int]]) -> None:
    marks: list[Mark] = []
    playback = Playback(RATE, marks.append)
    reply, heard, pushed = 1, dict.fromkeys(range(100), 0), dict.fromkeys(range(100), 0)
    for step, count in steps:
        before = len(marks)
        if step == PUSH:
            playback.push(reply, sound(reply, count), RATE)
            pushed[reply] += count
        elif step == PULL:
            block = playback.pull(count)
            assert block.shape == (count,)
            for known in range(1, reply + 1):
                heard[known] += int(np.count_nonzero(block == known))
        elif step == END:
            playback.end(reply)
            reply += 1
        else:
            playback.flush()
            assert playback.empty
            if pushed[reply]:
                assert Mark(reply, heard[reply] * 1000 // RATE) in marks[before:]
            reply += 1
        for mark in marks[before:]:
            assert mark.ms == heard[mark.reply_id] * 1000 // RATE
    while not playback.empty:
        for known, count in zip(*np.unique(playback.pull(320), return_counts=True), strict=True):
            heard[int(known)] += int(count)
    playback.end(reply)
    for known in range(1, reply + 1):
        of_it = [mark.ms for mark in marks if mark.reply_id == known]
        assert of_it == sorted(of_it)
        if pushed[known] >= RATE // 1000:
            assert of_it[-1] == heard[known] * 1000 // RATE


def test_a_mark_every_200_ms_and_one_at_the_end() -> None:
    marks: list[Mark] = []
    playback = Playback(RATE, marks.append)
    playback.push(4, sound(4, RATE // 2), RATE)
    playback.end(4)
    for _ in range(30):
        playback.pull(320)
    assert marks == [Mark(4, MARK_MS), Mark(4, 2 * MARK_MS), Mark(4, 500)]
    playback.pull(320)
    assert len(marks) == 3


def test_a_dry_queue_is_marked_and_its_silence_does_not_count() -> None:
    marks: list[Mark] = []
    playback = Playback(RATE, marks.append)
    playback.push(1, sound(1, 1600), RATE)
    playback.pull(16_000)
    playback.push(1, sound(1, 1600), RATE)
    playback.pull(16_000)
    assert marks == [Mark(1, 100), Mark(1, 200)]


def test_a_flush_drops_at_once_and_says_how_much_was_heard() -> None:
    marks: list[Mark] = []
    playback = Playback(RATE, marks.append)
    playback.push(1, sound(1, 8000), RATE)
    playback.pull(1617)  # 101.06 ms
    assert playback.queued_ms == pytest.approx(398.94, abs=0.01)
    assert playback.flush() == 398
    assert marks == [Mark(1, 101)]
    playback.push(1, sound(1, 8000), RATE)  # late sound of the reply that was cut
    assert playback.empty
    playback.push(2, sound(2, 320), RATE)
    assert playback.pull(320).tolist() == [2] * 320


def test_a_new_session_may_number_its_replies_anew() -> None:
    playback = Playback(RATE, lambda _mark: None)
    playback.push(9, sound(9, 320), RATE)
    playback.flush()
    playback.reset()
    playback.push(1, sound(1, 320), RATE)
    assert playback.pull(320).tolist() == [1] * 320


def test_a_brain_that_does_not_number_its_replies_is_still_heard_after_a_flush() -> None:
    playback = Playback(RATE, lambda _mark: None)
    playback.push(0, sound(5, 320), RATE)
    playback.flush()
    playback.push(0, sound(6, 320), RATE)
    assert playback.pull(320).tolist() == [6] * 320


def test_another_rate_is_resampled_whole_and_marked_in_its_own_time() -> None:
    marks: list[Mark] = []
    playback = Playback(48_000, marks.append)
    t = np.arange(16_000) / 16_000
    wave = (np.sin(2 * np.pi * 440 * t) * 8000).astype(np.int16)
    for start in range(0, len(wave), 377):
        playback.push(1, wave[start : start + 377], 16_000)
    playback.end(1)
    out = np.concatenate([playback.pull(960) for _ in range(60)])
    assert np.count_nonzero(out[48_000 + 960 :]) == 0
    assert marks[-1] == Mark(1, 1000)
    ideal = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000) * 8000
    middle = slice(2_000, 46_000)
    error = out[middle] - ideal[middle]
    assert 20 * np.log10(np.std(error) / np.std(ideal)) < -60


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 48_000])
def test_the_last_of_a_resampled_reply_is_heard_before_its_end_is_told(rate: int) -> None:
    """The brain ends a reply when a mark has told of all its sound, and waits 1 s for that mark."""
    marks: list[Mark] = []
    playback = Playback(rate, marks.append)
    for _ in range(7):
        playback.push(1, sound(9, 1600), RATE)
    assert playback.queued < playback.queued + playback.held == 7 * rate // 10
    assert playback.queued_ms == pytest.approx(700)
    pulled = 0
    while not playback.empty:
        playback.pull(rate // 50)
        pulled += 1
    assert pulled == 35
    assert marks[-1] == Mark(1, 700)
    playback.push(1, sound(9, 1600), RATE)  # the brain was only slow
    playback.pull(rate)
    assert marks[-1] == Mark(1, 800)
    playback.end(1)
    assert marks[-1] == Mark(1, 800)


@given(
    pushes=st.lists(st.tuples(st.sampled_from([8_000, 16_000, 22_050]), st.integers(1, 900))),
    pulls=st.lists(st.integers(1, 3_000)),
)
def test_no_sample_is_lost_whatever_the_rates(
    pushes: list[tuple[int, int]], pulls: list[int]
) -> None:
    playback = Playback(24_000, lambda _mark: None)
    sent, heard, streams = 0.0, 0, 1
    for number, (rate, count) in enumerate(pushes):
        playback.push(1, sound(1, count), rate)
        sent += count * 24_000 / rate
        streams += 1  # each of them is rounded to whole samples
        if number < len(pulls):
            heard += playback.queued + playback.held
            playback.pull(pulls[number])
            heard -= playback.queued + playback.held
    heard += playback.flush() * 24
    assert heard == pytest.approx(sent, abs=streams + 24)


def test_one_pull_over_many_pieces_is_marked_whole() -> None:
    marks: list[Mark] = []
    playback = Playback(RATE, marks.append)
    for _ in range(30):
        playback.push(1, sound(1, 320), RATE)
    playback.pull(500 * 16)
    assert marks == [Mark(1, 500)]


def test_a_reply_that_another_follows_is_marked_to_its_last_sample() -> None:
    marks: list[Mark] = []
    playback = Playback(48_000, marks.append)
    playback.push(1, sound(1000, 1600), RATE)
    playback.push(2, sound(-1000, 1600), RATE)  # and nobody has told the end of the first
    first, second = playback.pull(4800), playback.pull(4799)
    assert marks == [Mark(1, 100)]
    playback.pull(1)
    assert marks == [Mark(1, 100), Mark(2, 100)]
    assert first.min() > -200  # the ringing of the filter
    assert second.max() < 200


def test_what_is_peeked_at_is_what_is_pulled_later() -> None:
    playback = Playback(RATE, lambda _mark: None)
    for start in range(0, 1000, 70):
        playback.push(1, np.arange(start, start + 70, dtype=np.int16), RATE)
    assert playback.peek(0, 3).tolist() == [0, 1, 2]
    assert playback.peek(65, 200).tolist() == list(range(65, 265))
    assert playback.peek(1000, 200).tolist() == list(range(1000, 1050))
    assert playback.peek(1050, 1).tolist() == []
    assert playback.pull(100).tolist() == list(range(100))
    assert playback.peek(5, 2).tolist() == [105, 106]


def test_ticks_do_not_drift_whatever_the_sleeps_do(run) -> None:
    now, ticks = [100.0], []

    async def oversleeps(seconds: float) -> None:
        now[0] += seconds + (0.035 if len(ticks) % 5 == 0 else 0.0)

    def tick() -> bool:
        ticks.append(now[0])
        return len(ticks) < 100

    run(every_frame(tick, frame_s=0.02, clock=lambda: now[0], sleep=oversleeps))
    late = [at - (100 + 0.02 * (n + 1)) for n, at in enumerate(ticks)]
    assert min(late) > -1e-9  # a device never hands over a frame that isn't full
    assert max(late) < 0.035 + 1e-9  # and the lateness of one doesn't add to the next
