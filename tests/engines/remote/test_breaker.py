"""The circuit breaker: when it opens, for how long, and what closes it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.engines.remote.breaker import (
    BACK_OFF_S,
    MOST_BACK_OFF_S,
    STEADY_S,
    STILL_GONE_S,
    STRIKES,
    Breaker,
)


def closed_at(now: float, chance: float = 0.5) -> Breaker:
    breaker = Breaker(lambda: chance)
    assert breaker.due(now)
    breaker.try_out()
    breaker.passed(now)
    return breaker


def test_failures_in_a_row_open_it_and_an_answer_forgives_them() -> None:
    breaker = closed_at(0)
    for _ in range(5):
        for _ in range(STRIKES - 1):
            breaker.failed(1, "It broke.")
        breaker.answered()
    assert breaker.closed
    for _ in range(STRIKES):
        assert breaker.closed
        breaker.failed(2, "It broke.")
    assert (breaker.state, breaker.reason) == ("open", "It broke.")


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_it_is_due_after_a_jittered_wait(chance: float, wait: float) -> None:
    breaker = closed_at(0, chance)
    breaker.gone(10, "Nobody there.")
    assert not breaker.due(10 + wait * BACK_OFF_S - 0.001)
    assert breaker.due(10 + wait * BACK_OFF_S)


def waits(breaker: Breaker, now: float, ups: Sequence[float]) -> list[float]:
    """The waits of a server that goes as soon as it was up for so long each time."""
    found = []
    for up in ups:
        now += up
        breaker.gone(now, "Gone.")
        found.append(breaker.until - now)
        now = breaker.until
        breaker.try_out()
        breaker.passed(now)
    return found


def test_one_that_flaps_waits_longer_each_time_up_to_a_bound() -> None:
    assert waits(closed_at(0), 0, [0.1] * 7) == pytest.approx([1, 2, 4, 8, 16, 30, 30])


def test_one_that_was_steady_begins_anew() -> None:
    assert waits(closed_at(0), 0, [0.1, 0.1, STEADY_S, 0.1]) == pytest.approx([1, 2, 1, 2])


def test_a_trial_that_goes_wrong_opens_it_for_longer() -> None:
    breaker, now = closed_at(0), 0.0
    breaker.gone(now, "Gone.")
    for wait in (2, 4, 8):
        now = breaker.until
        assert breaker.due(now)
        breaker.try_out()
        assert not breaker.closed
        assert not breaker.due(now + 1_000), "one trial at a time"
        breaker.flunked(now, "Ill.")
        assert breaker.until - now == pytest.approx(wait)


def test_one_that_stays_away_is_looked_for_as_often_as_ever() -> None:
    breaker = closed_at(0, 1.0)
    breaker.gone(0, "Gone.")
    for _ in range(100):
        now = breaker.until
        breaker.still_gone(now, "Still gone.")
        assert breaker.until - now <= STILL_GONE_S


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["answered", "failed", "gone", "look", "pass", "flunk"]),
            st.floats(0, 20),
        ),
        max_size=60,
    ),
    st.floats(0, 1),
)
def test_it_never_stays_away_for_ever(story: list[tuple[str, float]], chance: float) -> None:
    """Whatever happens: closed without a reason, or not and with one; due again within bounds."""
    breaker, now = Breaker(lambda: chance), 0.0
    for event, later in story:
        now += later
        if event == "answered":
            breaker.answered()
        elif event == "failed":
            was = breaker.state
            if breaker.closed:
                breaker.failed(now, "x")
            else:
                assert breaker.state == was
        elif event == "gone":
            breaker.gone(now, "x")
        elif breaker.due(now):
            if event == "look":
                breaker.still_gone(now, "x")
            else:
                breaker.try_out()
                breaker.passed(now) if event == "pass" else breaker.flunked(now, "x")
        assert breaker.closed == (not breaker.reason)
        if not breaker.closed:
            assert breaker.due(now + 1.5 * MOST_BACK_OFF_S)
