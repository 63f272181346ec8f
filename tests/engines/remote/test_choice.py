"""Which server is asked next: pure, over any loads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brain.engines.remote.choice import AFFINITY_MARGIN, Candidate, choose, smoothed

LATENCIES = st.none() | st.floats(0, 60, allow_nan=False)
CANDIDATES = st.lists(
    st.builds(Candidate, st.integers(0, 20), LATENCIES, st.booleans()), min_size=1, max_size=8
)
TURNS = st.integers(0, 1_000)


@given(CANDIDATES, TURNS, st.data())
def test_the_chosen_one_is_never_much_more_loaded_than_another(
    candidates: list[Candidate], turn: int, data: st.DataObject
) -> None:
    last = data.draw(st.none() | st.integers(0, len(candidates) - 1))
    chosen = candidates[choose(candidates, turn=turn, last=last)]
    for other in candidates:
        if not other.busy:
            assert not chosen.busy
        if other.busy == chosen.busy:
            margin = AFFINITY_MARGIN if last is not None else 0
            assert chosen.inflight <= other.inflight + margin


@given(CANDIDATES, TURNS)
def test_of_those_with_as_many_calls_none_is_twice_as_quick(
    candidates: list[Candidate], turn: int
) -> None:
    chosen = candidates[choose(candidates, turn=turn)]
    for other in candidates:
        if (other.busy, other.inflight) == (chosen.busy, chosen.inflight):
            if other.latency_s is None:
                assert chosen.latency_s is None
            elif chosen.latency_s is not None:
                assert chosen.latency_s <= max(2.01 * other.latency_s, 0.06)


@given(st.builds(Candidate, st.integers(0, 5), LATENCIES), st.integers(1, 8), TURNS)
def test_equals_take_turns(one: Candidate, count: int, turn: int) -> None:
    chosen = [choose([one] * count, turn=turn + at) for at in range(2 * count)]
    assert sorted(chosen) == sorted([*range(count)] * 2)


def test_a_robot_stays_until_its_server_is_more_loaded_by_more_than_the_margin() -> None:
    for more in range(4):
        candidates = [Candidate(2 + more, 0.9), Candidate(2, 0.1)]
        assert choose(candidates, turn=0, last=0) == (0 if more <= AFFINITY_MARGIN else 1)
        assert choose(candidates, turn=0) == 1


def test_a_robot_leaves_a_server_that_said_it_is_busy() -> None:
    assert choose([Candidate(0, busy=True), Candidate(5)], turn=0, last=0) == 1
    assert choose([Candidate(0, busy=True), Candidate(5, busy=True)], turn=0, last=0) == 0


def test_nobody_to_choose_from() -> None:
    with pytest.raises(ValueError, match="none"):
        choose([], turn=0)


@given(st.lists(st.floats(0, 100), min_size=1))
def test_the_smoothed_latency_lies_among_what_was_measured(measured: list[float]) -> None:
    value: float | None = None
    for one in measured:
        value = smoothed(value, one)
    assert value is not None
    assert min(measured) - 1e-9 <= value <= max(measured) + 1e-9
