"""When the robot comes back, when it waits, and when it stays away."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_client.outbox import Control, Outbox, Sound
from robot_client.reconnect import Backoff, GiveUp, Retry, after_close


def test_delays_double_with_jitter_up_to_the_limit_and_start_again() -> None:
    backoff = Backoff(first_s=0.25, factor=2, limit_s=8, rng=random.Random(1))
    grown = [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    delays = [backoff.next_delay() for _ in grown]
    assert all(full / 2 <= delay <= full for full, delay in zip(grown, delays, strict=True))
    assert len({delay / full for full, delay in zip(grown, delays, strict=True)}) == len(grown)
    backoff.reset()
    assert backoff.next_delay() <= 0.25


@given(wait=st.floats(0, 3600), seed=st.integers(0, 99), failures=st.integers(0, 10_000))
def test_never_sooner_than_the_brain_asked(wait: float, seed: int, failures: int) -> None:
    backoff = Backoff(rng=random.Random(seed), failures=failures)
    assert backoff.next_delay(wait) >= wait


@pytest.mark.parametrize("code", [4001, 4400, 4401])
def test_what_a_retry_cannot_mend_ends_it_and_says_why(code: int) -> None:
    verdict = after_close(code, "because")
    assert isinstance(verdict, GiveUp)
    assert verdict.reason.endswith(": because")


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1011, 4408, 4410, 4413, 4999])
def test_everything_else_is_tried_again_at_its_own_pace(code: int | None) -> None:
    verdict = after_close(code, "")
    assert isinstance(verdict, Retry)
    assert verdict.after_s is None


@pytest.mark.parametrize(
    ("reason", "wait"),
    [
        ('{"retry_after_s": 7.5}', 7.5),
        ("full; retry_after_s=12", 12.0),
        ("full, retry_after_s: 3", 3.0),
        ("full", None),
        ("retry_after_s=99999999", 3600.0),
    ],
)
def test_a_full_brain_says_when(reason: str, wait: float | None) -> None:
    assert after_close(4429, reason) == Retry(f"the brain is full: {reason}", wait)


@given(chunks=st.lists(st.binary(max_size=70).map(lambda b: b + b), max_size=30))
def test_the_outbox_keeps_the_last_second_of_sound_and_all_control(chunks: list[bytes]) -> None:
    box = Outbox(sample_rate=32)  # so that a second is 64 bytes
    for number, chunk in enumerate(chunks):
        box.add_sound(chunk)
        box.add_control(str(number))
    everything = b"".join(chunks)
    assert box.sound_bytes == min(len(everything), 64)
    items = []
    while (item := box.take()) is not None:
        items.append(item)
    assert b"".join(i.pcm for i in items if isinstance(i, Sound)) == everything[-64:]
    assert [i.frame for i in items if isinstance(i, Control)] == [
        str(n) for n in range(len(chunks))
    ]
    assert all(len(i.pcm) <= 64 for i in items if isinstance(i, Sound))
    assert box.shed_samples * 2 + min(len(everything), 64) == len(everything)
    assert box.sound_bytes == 0


def test_control_stays_behind_the_sound_before_it_and_goes_with_its_connection() -> None:
    box = Outbox(16_000)
    box.add_sound(b"ab")
    box.add_control("end")
    box.add_sound(b"cd")
    first = box.take()
    assert first == Sound(b"ab")
    box.put_back(first)
    assert [box.take() for _ in range(3)] == [Sound(b"ab"), Control("end"), Sound(b"cd")]
    box.add_control("old")
    box.add_sound(b"ef")
    box.drop_control()
    assert [box.take(), box.take()] == [Sound(b"ef"), None]


def test_sound_of_another_rate_does_not_wait() -> None:
    box = Outbox(16_000)
    box.add_sound(b"ab" * 10)
    box.change_rate(8_000)
    assert (box.take(), box.shed_samples, box.sound_bytes) == (None, 10, 0)
    with pytest.raises(ValueError, match="odd"):
        box.add_sound(b"a")
