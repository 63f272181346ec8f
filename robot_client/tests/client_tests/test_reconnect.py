"""When the robot comes back, when it waits, and when it stays away."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_client.outbox import Control, Outbox, Sound
from robot_client.reconnect import Backoff, GiveUp, Retry, after_close, after_refusal


def test_delays_double_with_jitter_up_to_the_limit_and_start_again() -> None:
    backoff = Backoff(first_s=0.25, factor=2, limit_s=8, rng=random.Random(1))
    grown = [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    delays = [backoff.next_delay() for _ in grown]
    assert all(full / 2 <= delay <= full for full, delay in zip(grown, delays, strict=True))
    assert len({delay / full for full, delay in zip(grown, delays, strict=True)}) == len(grown)
    backoff.lasted(backoff.steady_s - 0.1)
    assert backoff.next_delay() >= 4
    backoff.lasted(backoff.steady_s)
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
    assert verdict.code == code


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (1001, "the brain is going down; come back", "the brain is going down; come back"),
        (1001, "", "the brain is going down"),
        (1001, "lunch", "the brain is going down: lunch"),
        (4401, "token missing or wrong", "the brain refuses the token: token missing or wrong"),
    ],
)
def test_a_reason_isnt_said_twice(code: int, said: str, told: str) -> None:
    assert after_close(code, said).reason == told


@pytest.mark.parametrize(
    "code",
    [
        None,
        1000,
        1001,
        1002,
        1003,
        1006,
        1007,
        1008,
        1009,
        1011,
        1012,
        1014,
        1015,
        4408,
        4410,
        4413,
        4999,
    ],
)
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


def test_later_is_some_seconds_later_if_nobody_says_when() -> None:
    verdict = after_close(1013, "")
    assert isinstance(verdict, Retry)
    assert verdict.after_s == 5
    assert after_close(1013, "retry_after_s=0.5") == Retry(
        "the brain asks to come later: retry_after_s=0.5", 0.5
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_can_be_refused_by_http_too(status: int) -> None:
    verdict = after_refusal(status, None)
    assert isinstance(verdict, GiveUp)
    assert verdict.code == 4401


@pytest.mark.parametrize("status", [200, 302, 400, 404, 408, 426, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("said", "wait"),
    [
        (None, None),
        ("", None),
        (" 12 ", 12.0),
        ("99999", 3600.0),
        ("-1", None),
        ("1e9", None),
        ("9" * 400, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_every_other_answer_of_a_proxy_is_tried_again_when_it_says(
    status: int, said: str | None, wait: float | None
) -> None:
    verdict = after_refusal(status, said)
    assert isinstance(verdict, Retry)
    assert verdict.after_s == wait
    assert str(status) in verdict.reason


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


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20), since=st.integers(0, 20))
def test_sound_that_is_stale_is_forgotten_and_the_rest_kept(sizes: list[int], since: int) -> None:
    box = Outbox(16_000)
    for at, size in enumerate(sizes):
        box.add_sound(bytes([at, at]) * size, float(at))
        box.add_control(str(at))
    box.drop_sound_before(since)
    kept = []
    while (item := box.take()) is not None:
        kept.append(item)
    assert [item for item in kept if isinstance(item, Sound)] == [
        Sound(bytes([at, at]) * size, at) for at, size in enumerate(sizes) if at >= since
    ]
    assert len([item for item in kept if isinstance(item, Control)]) == len(sizes)
    assert box.shed_samples == sum(sizes[:since])
